// Two pictures of one place: linked crosshair, slice, zoom and window; beside each other, or one over the other with a divider.

import { DRAG_MODE, NVImage, Niivue, SLICE_TYPE } from '@niivue/niivue'
import type { About, Layer, Scan } from './api'
import { layer as fetchLayer } from './api'
import type { Histogram } from './histogram'

export const PLANES = { axial: SLICE_TYPE.AXIAL, coronal: SLICE_TYPE.CORONAL, sagittal: SLICE_TYPE.SAGITTAL, all: SLICE_TYPE.MULTIPLANAR }
export type Plane = keyof typeof PLANES
const AXIS: Record<Plane, number> = { axial: 2, coronal: 1, sagittal: 0, all: 2 }
export type Side = 'left' | 'right'
const SIDES: Side[] = ['left', 'right']
const MOST_KEPT = 6 // layers
const CROSSHAIR = [1, 0.75, 0, 0.55]
const THICK = 0.6 // percent of the picture's width: a line thinner than a pixel is drawn in some places alone

export interface Shown { layer: Layer; volume: number; image: NVImage; about: About; histogram?: Histogram }
export interface Place { slice: number; slices: number; millimetres: number[]; values: Partial<Record<Side, number>> }

interface Loaded { image: NVImage; about: About }

async function load(scan: Scan, layer: Layer, volume: number): Promise<Loaded> {
  const { data, about } = await fetchLayer(scan, layer.key, volume)
  const name = `${layer.key}.nii`
  const colormap = { grey: 'gray', signed: 'signed', width: 'inferno' }[layer.colours]
  const image = await NVImage.loadFromUrl({ url: name, name, buffer: data, colormap, cal_min: about.window[0], cal_max: about.window[1] })
  return { image, about }
}

const SAME = 1e-6 // of two windows, that round numbers differently

/** Once the browser has drawn what it was given; one that is not seen does not. */
const painted = () => new Promise<void>((resolve) => {
  setTimeout(resolve, 100)
  requestAnimationFrame(() => setTimeout(resolve))
})

export class Viewer {
  readonly views: Record<Side, Niivue>
  readonly shown: Partial<Record<Side, Shown>> = {}
  plane: Plane = 'axial'
  window: [number, number] = [0, 1]
  moved: () => void = () => {}
  private kept = new Map<string, Promise<Loaded>>()
  private coloured: Record<Side, [number, number]> = { left: [0, 1], right: [0, 1] }
  private fresh = true // nothing was shown yet whose window others take
  private wanted: Record<Side, number> = { left: 0, right: 0 }

  private constructor(readonly canvases: Record<Side, HTMLCanvasElement>) {
    const one = () =>
      new Niivue({
        backColor: [0, 0, 0, 1],
        crosshairColor: CROSSHAIR,
        crosshairWidth: THICK,
        crosshairWidthUnit: 'percent',
        crosshairGap: 6,
        fontMinPx: 16,
        isRadiologicalConvention: true,
        isOrientationTextVisible: true,
        multiplanarShowRender: 0,
        dragAndDropEnabled: false,
        dragMode: DRAG_MODE.pan,
        loadingText: '',
        logLevel: 'silent',
        show3Dcrosshair: false,
        limitFrames4D: 1,
        viewModeHotKey: 'none',
        clipPlaneHotKey: 'none',
        cycleClipPlaneHotKey: 'none',
      })
    this.views = { left: one(), right: one() }
  }

  static async on(canvases: Record<Side, HTMLCanvasElement>): Promise<Viewer> {
    const viewer = new Viewer(canvases)
    for (const side of SIDES) {
      const view = viewer.views[side]
      await view.attachToCanvas(canvases[side], false)
      view.addColormap('signed', { R: [30, 95, 255], G: [110, 95, 70], B: [255, 95, 30], A: [255, 255, 255], I: [0, 128, 255] })
      view.setSliceType(PLANES[viewer.plane])
      const follow = () => requestAnimationFrame(() => viewer.link(side))
      for (const event of ['pointermove', 'pointerup', 'pointerdown', 'wheel', 'mousemove', 'mouseup', 'touchmove', 'touchend']) {
        canvases[side].addEventListener(event, follow, { passive: true })
      }
      // Its keys would be others in every view.
      canvases[side].addEventListener('keydown', (event) => viewer.key(event), { capture: true })
    }
    return viewer
  }

  /** Show a layer; what was asked for later wins. */
  async show(side: Side, scan: Scan, layer: Layer, volume: number): Promise<boolean> {
    const turn = ++this.wanted[side]
    const { image, about } = await this.loaded(scan, layer, volume)
    if (side === 'right') await painted()
    if (turn !== this.wanted[side]) return false
    const view = this.views[side]
    const first = view.volumes.length === 0
    const place = first ? null : view.frac2mm(view.scene.crosshairPos)
    while (view.volumes.length) view.removeVolumeByIndex(0)
    this.shown[side] = { layer, volume, image, about }
    if (this.fresh && layer.colours === 'grey') {
      this.window = about.window
      this.fresh = false
    }
    this.colour(side, false)
    view.addVolume(image)
    if (place) view.scene.crosshairPos = view.mm2frac(place)
    view.drawScene()
    return true
  }

  clear(): void {
    this.fresh = true
    for (const side of SIDES) {
      this.wanted[side]++
      const view = this.views[side]
      while (view.volumes.length) view.removeVolumeByIndex(0)
      delete this.shown[side]
      view.setCrosshairWidth(THICK)
      view.scene.pan2Dxyzmm = [0, 0, 0, 1]
      view.scene.crosshairPos = [0.5, 0.5, 0.5]
      view.drawScene()
    }
    this.kept.clear()
  }

  private loaded(scan: Scan, layer: Layer, volume: number): Promise<Loaded> {
    const key = `${scan.id}/${layer.key === 'scan' ? '' : scan.run}/${layer.key}/${volume}`
    const known = this.kept.get(key)
    if (known) return known
    for (const old of this.kept.keys()) {
      if (this.kept.size < MOST_KEPT) break
      this.kept.delete(old)
    }
    const found = load(scan, layer, volume)
    this.kept.set(key, found)
    found.catch(() => this.kept.delete(key))
    return found
  }

  setWindow(window: [number, number]): void {
    this.window = window
    for (const side of SIDES) this.colour(side)
  }

  /** Give the layer of a view its black and white; those that are no images have their own. */
  private colour(side: Side, draw = true): void {
    const shown = this.shown[side]
    if (!shown) return
    const [low, high] = shown.layer.colours === 'grey' ? this.window : shown.about.window
    // All voxels are coloured anew, which takes seconds of a large scan where a processor draws.
    const [least, most] = this.coloured[side]
    if (draw && Math.abs(low - least) + Math.abs(high - most) <= SAME * (high - low)) return
    this.coloured[side] = [low, high]
    shown.image.cal_min = low
    shown.image.cal_max = high
    if (draw) this.views[side].updateGLVolume()
  }

  setPlane(plane: Plane): void {
    this.plane = plane
    for (const side of SIDES) this.views[side].setSliceType(PLANES[plane])
    this.moved()
  }

  setVoxels(sharp: boolean): void {
    for (const side of SIDES) this.views[side].setInterpolation(sharp)
  }

  setCrosshair(on: boolean): void {
    for (const side of SIDES) this.views[side].setCrosshairColor(on ? CROSSHAIR : [0, 0, 0, 0])
  }

  /** Where the crosshair is. */
  get place(): Place {
    const view = this.finer
    const at = view.scene.crosshairPos as unknown as number[]
    const axis = AXIS[this.plane]
    const slices = this.sizes(view)[axis] ?? 1
    const values: Place['values'] = {}
    for (const side of SIDES) {
      const one = this.views[side]
      const image = one.volumes[0]
      if (!image) continue
      const vox = one.frac2vox(one.scene.crosshairPos) as unknown as number[]
      values[side] = image.getValue(vox[0]!, vox[1]!, vox[2]!)
    }
    const millimetres = view.volumes.length ? Array.from(view.frac2mm(view.scene.crosshairPos) as unknown as number[]).slice(0, 3) : []
    return { slice: Math.min(slices, Math.floor(at[axis]! * slices) + 1), slices, millimetres, values }
  }

  setSlice(slice: number): void {
    const view = this.finer
    const axis = AXIS[this.plane]
    const slices = this.sizes(view)[axis] ?? 1
    const at = [...(view.scene.crosshairPos as unknown as number[])]
    at[axis] = (Math.min(slices, Math.max(1, slice)) - 0.5) / slices
    view.scene.crosshairPos = at as never
    view.drawScene()
    this.link(view === this.views.left ? 'left' : 'right')
  }

  get zoom(): number {
    return (this.views.left.scene.pan2Dxyzmm as unknown as number[])[3] ?? 1
  }

  setZoom(zoom: number): void {
    const times = Math.min(10, Math.max(1, zoom))
    for (const side of SIDES) {
      const [x, y, z] = this.views[side].scene.pan2Dxyzmm as unknown as number[]
      this.views[side].setCrosshairWidth(THICK / times)
      this.views[side].setPan2Dxyzmm([x!, y!, z!, times] as never)
    }
    this.moved()
  }

  reset(): void {
    for (const side of SIDES) {
      this.views[side].scene.crosshairPos = [0.5, 0.5, 0.5] as never
      this.views[side].setCrosshairWidth(THICK)
      this.views[side].setPan2Dxyzmm([0, 0, 0, 1] as never)
    }
    this.moved()
  }

  resize(): void {
    for (const side of SIDES) this.views[side].resizeListener()
  }

  /** The other view goes to the same place. */
  link(from: Side): void {
    const other = this.views[from === 'left' ? 'right' : 'left']
    if (other.volumes.length && this.views[from].volumes.length) {
      this.views[from].doSync2d(other)
      other.drawScene()
    }
    this.moved()
  }

  private key(event: KeyboardEvent): void {
    const done = this.act(event.key)
    if (event.key !== 'Tab') event.stopImmediatePropagation()
    if (done) event.preventDefault()
  }

  private act(key: string): boolean {
    const { slice } = this.place
    if (['ArrowUp', 'ArrowRight'].includes(key)) this.setSlice(slice + 1)
    else if (['ArrowDown', 'ArrowLeft'].includes(key)) this.setSlice(slice - 1)
    else if (key === 'PageUp') this.setSlice(slice + 10)
    else if (key === 'PageDown') this.setSlice(slice - 10)
    else if (key === '+' || key === '=') this.setZoom(this.zoom * 1.25)
    else if (key === '-') this.setZoom(this.zoom / 1.25)
    else if (key === '0') this.reset()
    else return false
    return true
  }

  /** The view with the finer picture; the left one before there is any. */
  private get finer(): Niivue {
    const { left, right } = this.views
    const size = (view: Niivue) => this.sizes(view).reduce((product, n) => product * n, 1)
    return size(right) > size(left) ? right : left
  }

  private sizes(view: Niivue): number[] {
    return view.volumes[0]?.dimsRAS?.slice(1, 4) ?? []
  }
}
