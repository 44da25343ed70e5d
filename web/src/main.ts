// The page: what is dropped goes to the server, what happens there is shown.

import type { Layer, Options, Scan } from './api'
import { Refused, ask, listen, offered, remove, send } from './api'
import { facts, findings } from './details'
import { byId, choice } from './dom'
import type { Dropped } from './dropped'
import { onFiles } from './early'
import { Form } from './form'
import { draw, histogram } from './histogram'
import { List } from './list'
import { Swipe } from './swipe'
import type { Plane, Side } from './viewer'
import { PLANES, Viewer } from './viewer'
import { number, state } from './words'

const scans = new Map<string, Scan>()
let chosen: string | null = null
let volume = 0
const layers: Record<Side, string> = { left: '', right: '' }
let pictured = '' // scan, run and state that the pictures are of

const canvasOf = (side: Side) => byId(side).querySelector('canvas')!
const input = (id: string) => byId<HTMLInputElement>(id)
const current = () => (chosen ? (scans.get(chosen) ?? null) : null)

function say(text: string): void {
  byId('live').textContent = text
}

function trouble(error: unknown): void {
  const line = byId('trouble')
  const text = error instanceof Refused ? error.message : error ? String(error) : ''
  line.textContent = text
  line.hidden = !text
  if (error && !(error instanceof Refused)) console.error(error)
}

/** Do what may be refused, and say so. */
const attempt = (work: Promise<unknown>) => work.then(() => trouble(''), trouble)

const viewer = await Viewer.on({ left: canvasOf('left'), right: canvasOf('right') })
const swipe = new Swipe(byId('views'), byId('right').querySelector('.canvas')!, byId('bar'), input('swipe'), byId('swipe-row').querySelector('output')!)
const form = new Form(byId<HTMLFormElement>('form'), await offered(), (options) => onChosen('upscale', options), (options) => onChosen('look', options))
const list = new List(byId<HTMLUListElement>('list'), {
  choose: (scan) => choose(scan.id),
  cancel: (scan) => attempt(ask(scan, 'cancel')),
  remove: (scan) => attempt(remove(scan)),
})

function onChosen(what: 'upscale' | 'look', options: Options): void {
  const scan = current()
  if (scan) attempt(ask(scan, what, options))
}

// Drops

async function dropped(files: Dropped[]): Promise<void> {
  if (!files.length) return
  const line = byId('sending')
  const label = files.length === 1 ? files[0]!.name : `${files.length} files`
  line.hidden = false
  line.textContent = `Sending ${label} …`
  try {
    const added = await send(files, (share) => { line.textContent = `Sending ${label}: ${Math.round(100 * share)} %` })
    trouble('')
    if (added[0]) choose(added[0])
  } catch (error) {
    trouble(error)
  } finally {
    line.hidden = true
  }
}

// Scans

listen({
  scan(scan) {
    const before = scans.get(scan.id)
    scans.set(scan.id, scan)
    list.show(scan)
    if (!chosen) choose(scan.id)
    if (before?.state !== scan.state) say(`${scan.name}: ${state(scan)}${scan.line && scan.state !== 'done' ? `. ${scan.line}` : ''}`)
    if (scan.id === chosen) {
      list.mark(chosen)
      showDetails()
    }
  },
  gone(id) {
    scans.delete(id)
    list.remove(id)
    if (id === chosen) choose([...scans.keys()].at(-1) ?? null)
  },
  all: () => trouble(''),
  lost: () => trouble(new Refused('iconet view does not answer. It has ended, or the computer slept; this page tries again.')),
})

function choose(id: string | null): void {
  chosen = id
  volume = 0
  list.mark(id)
  showDetails()
}

let detailed = ''
function showDetails(): void {
  const scan = current()
  byId('details-title').textContent = scan?.name ?? 'No scan chosen'
  form.show(scan)
  // Progress alone changes nothing of what is written, which may hold the focus.
  const now = scan ? JSON.stringify({ ...scan, progress: null, position: 0 }) : ''
  if (now !== detailed) {
    detailed = now
    byId('facts').replaceChildren(...(scan ? facts(scan) : []))
    byId('result').replaceChildren(...(scan ? findings(scan) : []))
  }
  showPictures(scan)
}

// Pictures

/** Which layers are shown at first: the scan beside the result. */
function atFirst(known: Layer[]): Record<Side, string> {
  const keys = known.map((layer) => layer.key)
  const result = keys.find((key) => key === 'iconet' || key === 'enlarged') ?? keys[0] ?? ''
  return { left: keys[0] ?? '', right: result }
}

function showPictures(scan: Scan | null): void {
  const visible = scan?.layers.length && !['looking', 'choose', 'refused'].includes(scan.state) ? scan : null
  const now = visible ? `${visible.id}/${visible.result ? visible.run : ''}/${visible.layers.map((layer) => layer.key).join()}/${JSON.stringify(visible.geometry)}` : ''
  if (now === pictured) return
  const same = visible !== null && pictured.startsWith(`${visible.id}/`) && visible.geometry !== null
  if (!same) viewer.clear()
  pictured = now
  byId('empty').hidden = visible !== null
  byId('layout').inert = visible === null
  if (!visible) {
    for (const side of ['left', 'right'] as Side[]) byId(side).querySelectorAll('.layers label').forEach((label) => label.remove())
    byId('histogram').hidden = true
    byId('says').textContent = byId('place').textContent = ''
    byId('volume-row').hidden = true
    return
  }
  Object.assign(layers, atFirst(visible.layers))
  const volumes = visible.geometry?.volumes ?? 1
  byId('volume-row').hidden = volumes < 2
  input('volume').max = String(volumes)
  showLayers(visible, !same)
}

async function showLayers(scan: Scan, fresh = false): Promise<void> {
  for (const side of ['left', 'right'] as Side[]) {
    const fieldset = byId(side).querySelector<HTMLFieldSetElement>('.layers')!
    const options = scan.layers.map((layer) => ({ value: layer.key, label: layer.label }))
    choice(fieldset, `layer-${side}`, options, layers[side], (key) => {
      layers[side] = key
      showLayers(scan)
    })
  }
  try {
    await Promise.all((['left', 'right'] as Side[]).map(async (side) => {
      const layer = scan.layers.find((one) => one.key === layers[side])
      const shown = viewer.shown[side]
      if (!layer || (shown?.layer === layer && shown.volume === volume)) return
      byId(side).setAttribute('aria-busy', 'true')
      try {
        await viewer.show(side, scan, layer, volume)
      } finally {
        byId(side).removeAttribute('aria-busy')
      }
    }))
  } catch (error) {
    trouble(error)
    return
  }
  if (scan.id !== chosen) return
  if (fresh) {
    const grey = (['left', 'right'] as Side[]).map((side) => viewer.shown[side]).find((shown) => shown?.layer.colours === 'grey')
    if (grey) setRange(grey.about.window)
    viewer.reset()
  }
  byId('says').textContent = sentences()
  moved()
  showHistogram()
}

/** What is shown, in words. */
function sentences(): string {
  const of = (side: Side) => {
    const shown = viewer.shown[side]
    if (!shown) return ''
    const most = number(shown.about.window[1])
    const signed = { grey: '', signed: ` Colours: ±${most}.`, width: ` Colours: 0 to ${most}.` }[shown.layer.colours]
    const coarse = shown.about.every.some((n) => n > 1) ? ' Too large to show whole: the picture leaves voxels out, the result does not.' : ''
    return `${shown.layer.says}${signed}${coarse}`
  }
  const [left, right] = [of('left'), of('right')]
  return left === right ? left : `Left: ${left} Right: ${right}`
}

function setRange([low, high]: [number, number]): void {
  const span = high - low
  const level = input('level')
  const width = input('width')
  level.min = String(low - span)
  level.max = String(high + span)
  width.min = String(span / 100)
  width.max = String(3 * span)
  level.value = String((low + high) / 2)
  width.value = String(span)
  showWindow()
}

function showWindow(): void {
  const level = Number(input('level').value)
  const width = Number(input('width').value)
  viewer.setWindow([level - width / 2, level + width / 2])
  for (const id of ['level', 'width']) {
    byId(id).parentElement!.querySelector('output')!.textContent = number(Number(input(id).value))
    input(id).setAttribute('aria-valuetext', number(Number(input(id).value)))
  }
  showHistogram()
}

function showHistogram(): void {
  const style = getComputedStyle(document.body)
  const drawn = (['left', 'right'] as Side[]).flatMap((side) => {
    const shown = viewer.shown[side]
    if (!shown || shown.layer.colours !== 'grey' || !shown.image.img) return []
    const { scl_slope: slope, scl_inter: inter } = shown.image.hdr ?? { scl_slope: 1, scl_inter: 0 }
    const found = (shown.histogram ??= histogram(shown.image.img, (value) => value * (slope || 1) + (inter || 0)) ?? undefined)
    return found ? [{ histogram: found, colour: style.getPropertyValue(`--${side}`), side }] : []
  })
  const figure = byId('histogram')
  figure.hidden = !drawn.length
  if (!drawn.length) return
  draw(figure.querySelector('canvas')!, drawn, viewer.window, style.color)
  const words = drawn.map(({ side, histogram: h }) => `${side} from ${number(h.low)} to ${number(h.high)}`).join(', ')
  figure.querySelector('canvas')!.setAttribute('aria-label', `How often values occur: ${words}`)
  figure.querySelector('p')!.textContent = `Values without background: ${words}. Dashed: black and white of the picture.`
}

function moved(): void {
  const { slice, slices, millimetres, values } = viewer.place
  const plane = viewer.plane === 'all' ? 'axial' : viewer.plane
  input('slice').max = String(slices)
  input('slice').value = String(slice)
  input('slice').setAttribute('aria-valuetext', `${plane} slice ${slice} of ${slices}`)
  byId('slice').parentElement!.querySelector('output')!.textContent = `${slice} of ${slices}`
  input('zoom').value = String(100 * viewer.zoom)
  byId('zoom').parentElement!.querySelector('output')!.textContent = `${Math.round(100 * viewer.zoom)} %`
  const read = (['left', 'right'] as Side[]).filter((side) => values[side] !== undefined).map((side) => `${side} ${number(values[side]!)}`)
  byId('place').textContent = millimetres.length ? `At ${millimetres.map((mm) => mm.toFixed(1)).join(', ')} mm: ${read.join(', ')}` : ''
  for (const side of ['left', 'right'] as Side[]) {
    const shown = viewer.shown[side]
    const label = shown ? `${shown.layer.label}, ${plane} slice ${slice} of ${slices}` : 'nothing yet'
    canvasOf(side).setAttribute('aria-label', `${side === 'left' ? 'Left' : 'Right'} picture: ${label}`)
  }
}

viewer.moved = moved
const arrangement = (value: string) => {
  byId('views').className = value
  byId('swipe-row').hidden = value !== 'swipe'
  choice(byId<HTMLFieldSetElement>('arrangement'), 'arrangement', [{ value: 'side', label: 'Side by side' }, { value: 'swipe', label: 'Swipe' }], value, arrangement)
  swipe.draw()
  viewer.resize()
}
const plane = (value: string) => {
  choice(byId<HTMLFieldSetElement>('plane'), 'plane', Object.keys(PLANES).map((key) => ({ value: key, label: key[0]!.toUpperCase() + key.slice(1) })), value, plane)
  viewer.setPlane(value as Plane)
}
arrangement('side')
plane('axial')
byId('layout').inert = true

input('slice').addEventListener('input', () => viewer.setSlice(Number(input('slice').value)))
input('zoom').addEventListener('input', () => viewer.setZoom(Number(input('zoom').value) / 100))
for (const id of ['level', 'width']) input(id).addEventListener('input', showWindow)
input('voxels').addEventListener('change', () => viewer.setVoxels(input('voxels').checked))
input('crosshair').addEventListener('change', () => viewer.setCrosshair(input('crosshair').checked))
byId('reset').addEventListener('click', () => {
  viewer.reset()
  const grey = (['left', 'right'] as Side[]).map((side) => viewer.shown[side]).find((shown) => shown?.layer.colours === 'grey')
  if (grey) setRange(grey.about.window)
})
input('volume').addEventListener('input', () => {
  const scan = current()
  volume = Number(input('volume').value) - 1
  byId('volume-row').querySelector('output')!.textContent = `${volume + 1} of ${input('volume').max}`
  if (scan) showLayers(scan)
})
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', showHistogram)
onFiles(dropped, trouble)
