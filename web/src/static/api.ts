// What `../api` is on a page without a server: all happens in workers of this browser.

import type { About, Layer, Offered, Options, Scan } from '../api'
import { Crew, Refused, Stopped } from './crew'
import type { Done, Looked, Site } from './work'

export { Refused }

const NOTICE = 'Research use, not for diagnosis.'
const SCAN: Layer = { key: 'scan', label: 'Scan', says: 'The scan as it was given.', colours: 'grey' }
const LAYERS: Layer[] = [
  SCAN,
  { key: 'interpolation', label: 'Interpolation', says: 'The scan enlarged without a network: its k-space filled with zeros.', colours: 'grey' },
  { key: 'iconet', label: 'ICONet', says: 'The result.', colours: 'grey' },
  { key: 'difference', label: 'Difference', says: 'What ICONet added to the interpolation (red) or took away (blue).', colours: 'signed' },
  { key: 'consistency', label: 'Consistency', says: 'The result made coarse again, minus the scan. Even grey is full agreement.', colours: 'signed' },
]
/** Of 4 times over 2 times: its second stage works on four times as many pixels. */
const MORE_AT_FOUR = 5

interface Entry { scan: Scan; file: File; looked?: Looked; done?: Done; url?: string }

const entries = new Map<string, Entry>()
const queue: { id: string; scale: 2 | 4 }[] = []
const reading = new Crew()
const computing = new Crew()
let running: string | null = null
let site: Site
let pace: Promise<number> | null = null
let last = 0
let heard: Parameters<typeof listen>[0]

export async function offered(): Promise<Offered> {
  const at = document.baseURI
  const answer = await fetch(new URL('models/models.json', at))
  if (!answer.ok) throw new Refused('models/models.json is missing beside this page; build the site again')
  site = { ...(await answer.json()), at }
  return { version: site.version, models: site.models, kinds: [], only: ['scale'] }
}

export function listen(listener: { scan(scan: Scan): void; gone(id: string): void; all(): void; lost(): void }): void {
  heard = listener
}

function change(entry: Entry, news: Partial<Scan>): void {
  if (!entries.has(entry.scan.id)) return
  entry.scan = { ...entry.scan, ...news }
  heard.scan(entry.scan)
}

export async function send(files: { name: string; file: File }[]): Promise<string[]> {
  return files.map(({ name, file }) => {
    const id = String(++last)
    const short = name.split('/').at(-1)!
    const entry: Entry = {
      file,
      scan: { id, name: short, state: 'looking', line: '', position: 0, progress: null, run: 0, series: [], chosen: null, geometry: null, kind: null, remarks: [], layers: [], result: null },
    }
    entries.set(id, entry)
    heard.scan(entry.scan)
    lookAt(entry)
    return id
  })
}

async function lookAt(entry: Entry): Promise<void> {
  try {
    const looked = await reading.ask<Looked>('look', [entry.scan.name, entry.file])
    entry.looked = looked
    const { shape, spacing, axes } = looked
    change(entry, { state: 'ready', geometry: { shape, spacing, axes }, kind: { name: 'MR', noun: 'an MR image', why: 'its header, name and values say nothing else', unit: '' }, layers: [SCAN] })
    pace ??= computing.ask<number>('speed', [site])
    const seconds = (await pace) * looked.pixels
    change(entry, { remarks: [`Takes about ${duration(seconds)} on this computer at 2 times, ${duration(seconds * MORE_AT_FOUR)} at 4 times.`] })
  } catch (error) {
    if (error instanceof Stopped || entry.looked) {
      pace = null // it is measured again with the next scan
      if (!(error instanceof Stopped)) console.error(error)
    } else change(entry, { state: 'refused', line: lineOf(error) })
  }
}

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`
}

function lineOf(error: unknown): string {
  if (error instanceof Refused) return error.message
  console.error(error)
  return `this page could not go on (${String(error)}); iconet upscale may`
}

export async function ask(scan: Scan, what: 'look' | 'upscale' | 'cancel', options: Options = {}): Promise<void> {
  const entry = entries.get(scan.id)
  if (!entry) throw new Refused('this scan is not here any more; drop it again')
  if (what === 'upscale') {
    queue.push({ id: scan.id, scale: options.scale === 4 ? 4 : 2 })
    change(entry, { state: 'queued', position: queue.length, line: '' })
    next()
  } else if (what === 'cancel') {
    const at = queue.findIndex((one) => one.id === scan.id)
    if (at >= 0) queue.splice(at, 1)
    if (running === scan.id) computing.stop()
    else change(entry, { state: entry.done ? 'done' : 'ready', line: 'Cancelled.' })
    positions()
  }
}

function positions(): void {
  queue.forEach(({ id }, i) => change(entries.get(id)!, { position: i + 1 }))
}

async function next(): Promise<void> {
  const one = running === null ? queue.shift() : undefined
  const entry = one && entries.get(one.id)
  if (!entry) return
  running = entry.scan.id
  positions()
  change(entry, { state: 'running', progress: null })
  try {
    const told = (done: number, total: number) => change(entry, { progress: [done, total] })
    const done = await computing.ask<Done>('upscaled', [site, entry.scan.name, entry.file, one!.scale], told)
    finish(entry, done)
  } catch (error) {
    change(entry, { state: entry.done ? 'done' : 'ready', progress: null, line: error instanceof Stopped ? error.message : lineOf(error) })
  }
  running = null
  next()
}

function finish(entry: Entry, done: Done): void {
  if (!entries.has(entry.scan.id)) return
  if (entry.url) URL.revokeObjectURL(entry.url)
  entry.done = done
  entry.url = URL.createObjectURL(done.image)
  const name = `${entry.scan.name.replace(/\.nii(\.gz)?$/i, '')}-iconet.nii.gz`
  change(entry, {
    state: 'done', progress: null, run: entry.scan.run + 1, layers: LAYERS,
    result: {
      line: '', remarks: done.remarks, geometry: { shape: done.shape, spacing: done.spacing, orientation: entry.looked?.axes ?? null }, acquired: done.acquired,
      consistency: done.consistency, missing: null, models: done.models, notice: NOTICE, seconds: { all: done.seconds }, files: [{ key: 'image', name }],
    },
  })
}

export async function remove(scan: Scan): Promise<void> {
  const entry = entries.get(scan.id)
  if (!entry) return
  const at = queue.findIndex((one) => one.id === scan.id)
  if (at >= 0) queue.splice(at, 1)
  entries.delete(scan.id)
  if (running === scan.id) computing.stop()
  if (entry.url) URL.revokeObjectURL(entry.url)
  heard.gone(scan.id)
  positions()
}

export const fileOf = (scan: Scan, _key: string) => entries.get(scan.id)?.url ?? ''

export async function layer(scan: Scan, key: string, _volume: number): Promise<{ data: ArrayBuffer; about: About }> {
  const entry = entries.get(scan.id)
  if (!entry) throw new Refused('this scan is not here any more; drop it again')
  return reading.ask('layer', [entry.scan.name, entry.file, entry.done?.plain ?? null, key, Boolean(entry.done?.acquired), entry.done?.way ?? null])
}
