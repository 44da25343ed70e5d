// What the server says of scans, and what it may be asked. Its side is src/iconet/view/app.py.

export type State = 'looking' | 'choose' | 'ready' | 'queued' | 'running' | 'done' | 'refused'

export interface Layer { key: string; label: string; says: string; colours: 'grey' | 'signed' | 'width' }
export interface Series { uid: string; title: string; refused: string | null }
export interface Grid { shape: number[]; spacing: number[] | null; volumes?: number; axes?: string | null; orientation?: string | null; type?: string }
export interface Result {
  line: string
  remarks: string[]
  geometry: Grid
  acquired: { matrix: number[]; stored: number[]; window: string | null } | null
  consistency: { psnr: number | null; mean_ratio: number | null } | null
  missing: string | null
  models: (string | null)[]
  notice: string
  seconds: Record<string, number>
  files: { key: string; name: string }[]
}
export interface Scan {
  id: string
  name: string
  state: State
  line: string
  position: number
  progress: [number, number] | null
  run: number
  series: Series[]
  chosen: string | null
  geometry: Grid | null
  kind: { name: string; noun: string; why: string; unit: string } | null
  remarks: string[]
  layers: Layer[]
  result: Result | null
}
export interface Offered {
  version: string
  models: { name: string; scale: number; purpose: string }[]
  kinds: string[]
  only?: string[] // the options that there are; without it all
}
export type Options = Record<string, string | number | boolean>
export interface About { window: [number, number]; every: number[] }

/** Something that the server refused; the message is the line that the command line says. */
export class Refused extends Error {}

async function answered(response: Response): Promise<Response> {
  if (response.ok) return response
  const text = await response.text()
  let line = text.trim()
  try { line = JSON.parse(text).line } catch { /* it is a line already */ }
  throw new Refused(line || 'iconet view does not answer; see its window')
}

async function call(path: string, method = 'GET', content?: unknown): Promise<Response> {
  let response: Response
  try {
    response = await fetch(path, { method, body: content === undefined ? undefined : JSON.stringify(content) })
  } catch {
    throw new Refused('iconet view has ended; start it again')
  }
  return answered(response)
}

export const offered = async (): Promise<Offered> => (await call('/api/offered')).json()
export const ask = async (scan: Scan, what: 'look' | 'upscale' | 'cancel', options: Options = {}) => {
  await call(`/api/scans/${scan.id}/${what}`, 'POST', options)
}
export const remove = async (scan: Scan) => { await call(`/api/scans/${scan.id}`, 'DELETE') }
export const fileOf = (scan: Scan, key: string) => `/api/scans/${scan.id}/files/${key}`

export async function layer(scan: Scan, key: string, volume: number): Promise<{ data: ArrayBuffer; about: About }> {
  const response = await call(`/api/scans/${scan.id}/layers/${key}?volume=${volume}`)
  return { data: await response.arrayBuffer(), about: JSON.parse(response.headers.get('x-about') ?? '{}') }
}

const AT_ONCE = 3 // browsers have six connections to a server, all tabs together

/** Send files; returns the scans they are. */
export async function send(files: { name: string; file: File }[], tell: (share: number) => void): Promise<string[]> {
  const listed = files.map(({ name, file }) => ({ name, size: file.size }))
  const { drop } = await (await call('/api/drops', 'POST', { files: listed })).json()
  const total = listed.reduce((sum, one) => sum + one.size, 0)
  let next = 0
  let sent = 0
  const sender = async () => {
    for (let index = next++; index < files.length; index = next++) {
      const one = files[index]!
      let response: Response
      try {
        response = await fetch(`/api/drops/${drop}/${index}`, { method: 'PUT', body: one.file })
      } catch {
        throw new Refused(`${one.name}: could not be sent; is iconet view still running?`)
      }
      await answered(response)
      sent += one.file.size
      tell(total ? sent / total : 1)
    }
  }
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, files.length) }, sender))
  return (await (await call(`/api/drops/${drop}/done`, 'POST')).json()).scans
}

/** Hear of every scan as it is now, and of each change. */
export function listen(heard: { scan(scan: Scan): void; gone(id: string): void; all(): void; lost(): void }): void {
  const source = new EventSource('/api/events')
  source.addEventListener('scan', (event) => heard.scan(JSON.parse((event as MessageEvent).data)))
  source.addEventListener('gone', (event) => heard.gone(JSON.parse((event as MessageEvent).data).id))
  source.addEventListener('all', () => heard.all())
  source.addEventListener('error', () => heard.lost())
}
