// What the workers do: look at a scan, upscale it, draw its layers.

import { apartOf } from '../laws/apart'
import type { Agreement } from '../laws/consistency'
import { Agreeing, madeCoarse } from '../laws/consistency'
import { frameOfObject } from '../laws/frame'
import type { Image } from '../laws/image'
import { image } from '../laws/image'
import { levelsOfSlice } from '../laws/intensity'
import { otherThanMr } from '../laws/kind'
import { resizeKspace } from '../laws/kspace'
import type { Header } from '../laws/nifti'
import { bytesOf, headerLike, readHeader, readVoxels, storage } from '../laws/nifti'
import { planOf, sliceAxis } from '../laws/plan'
import { findRecovery, said } from '../laws/recovery'
import { Refusal } from '../laws/refusal'
import type { Network } from '../laws/slices'
import { upscale } from '../laws/upscale'
import type { Shape } from '../laws/volume'
import { inPlane, putSlice, sliceOf, voxels } from '../laws/volume'
import type { Way } from '../laws/way'
import { SEEMS, findWay } from '../laws/way'
import type { Picture } from './files'
import { opened, packed, picture } from './files'
import type { Weights } from './runtime'
import { open } from './runtime'

export interface Site { version: string; models: (Weights & { purpose: string })[]; at: string }

/** Of a network's features, for each pixel of a slice and each channel (iconet/upscaling/windows.py). */
const BYTES = 72
const MOST_MEMORY = 1.6e9
const MOST_VOXELS = 2e8 // of a result

export interface Looked { shape: Shape; spacing: Shape; axes: string; across: number; pixels: number }
export interface Done {
  image: Blob
  plain: Blob
  shape: Shape
  spacing: Shape
  acquired: { matrix: number[]; stored: number[]; window: string | null } | null
  way: Way | null
  remarks: string[]
  consistency: Agreement
  models: string[]
  seconds: number
}

interface Scan { header: Header; volume: Float32Array; across: number }

async function read(name: string, file: Blob): Promise<Scan> {
  const bytes = await opened(name, file)
  const header = readHeader(name, bytes)
  return { header, volume: readVoxels(name, bytes, header), across: sliceAxis(header.shape, header.spacing) }
}

function refuseOthers(name: string, { header, volume, across }: Scan): void {
  const { shape } = header
  const short = inPlane(across).find((axis) => shape[axis]! < 16)
  if (short !== undefined) throw new Refusal(`${name}: ${shape[short]} voxels along ${'ijk'[short]}, which lies in the slice plane; this page takes slices of at least 16 x 16`)
  const other = otherThanMr(name, header, volume, shape)
  if (other) throw new Refusal(`${name}: ${other}; this page takes MR images alone. iconet upscale knows what to do with others`)
  const apart = apartOf(volume, shape)
  if (apart) throw new Refusal(`${name}: holds ${apart}, which this page does not set apart; iconet upscale does`)
}

export async function look(name: string, file: Blob): Promise<Looked> {
  const scan = await read(name, file)
  refuseOthers(name, scan)
  const { header, volume, across } = scan
  let pixels = 0
  for (let index = 0; index < header.shape[across]!; index++) {
    const slice = sliceOf(volume, header.shape, across, index)
    const [dark, bright] = levelsOfSlice(slice.data)
    if (!(bright > dark)) continue
    const frame = frameOfObject([image(slice.height, slice.width, slice.data.map((value) => (value - dark) / (bright - dark)))], [slice.height, slice.width], 8)
    if (frame) pixels += (frame.bottom - frame.top) * (frame.right - frame.left)
  }
  return { shape: header.shape, spacing: inMillimetres(header).map(Math.abs) as Shape, axes: axesOf(header), across, pixels }
}

const UNITS: Record<number, number> = { 1: 1000, 2: 1, 3: 1e-3 }
const unitOf = ({ units }: Header) => UNITS[units & 7] ?? 1
const inMillimetres = (header: Header) => header.spacing.map((length) => length * unitOf(header))

/** Where each axis points: R or L, A or P, S or I. */
function axesOf({ affine }: Header): string {
  const free = [0, 1, 2]
  return [0, 1, 2].map((axis) => {
    const row = free.reduce((best, one) => (Math.abs(affine[one]![axis]!) > Math.abs(affine[best]![axis]!) ? one : best))
    free.splice(free.indexOf(row), 1)
    return ['LR', 'PA', 'IS'][row]![affine[row]![axis]! > 0 ? 1 : 0]
  }).join('')
}

const networks = new Map<string, Promise<{ network: Network; by: string }>>()

/** For scans as acquired, or for those that lost their resolution in another way. */
const weightsOf = (site: Site, scale: 2 | 4, way: Way | null) => site.models.find((one) => one.scale === scale && (one.telling !== null) === (way !== null))

function networkOf(site: Site, weights: Weights): Promise<{ network: Network; by: string }> {
  let found = networks.get(weights.name)
  if (!found) {
    networks.set(weights.name, (found = open(weights, new URL(`models/${weights.name}.onnx`, site.at).href)))
    found.catch(() => networks.delete(weights.name))
  }
  return found
}

const PROBE = 96

/** Seconds a pixel, at 2 times. */
export async function speed(site: Site): Promise<number> {
  const { network } = await networkOf(site, weightsOf(site, 2, null)!)
  const given = image(PROBE, PROBE)
  given.data.fill(0.5)
  await network.run(given)
  const start = performance.now()
  await network.run(given)
  return (performance.now() - start) / 1000 / PROBE ** 2
}

export async function upscaled(site: Site, name: string, file: Blob, scale: 2 | 4, progress: (done: number, total: number) => void): Promise<Done> {
  const start = performance.now()
  const { header, volume, across } = await read(name, file)
  const { shape } = header
  const stack = Array.from({ length: shape[across]! }, (_, index) => sliceOf(volume, shape, across, index))
  const recovery = findRecovery(stack)
  stack.length = 0
  const plan = planOf(shape, across, scale, recovery)
  refuseTooLarge(site, name, plan.shape, plan.factors, recovery?.found.matrix ?? inPlane(across).map((axis) => shape[axis]!))
  const { make, store } = storage(header)
  const result = make(voxels(plan.shape))
  const agreeing = new Agreeing()
  const used = new Map<string, string>()
  const way = recovery ? null : await wayOf(site, plan.factors[0]!, shape[across]!, (index) => sliceOf(volume, shape, across, index))
  await upscale(volume, shape, plan, recovery, way, async (factor, told) => {
    const weights = weightsOf(site, factor, told)!
    const { network, by } = await networkOf(site, weights)
    used.set(weights.name, by)
    return network
  }, (slice, index) => {
    agreeing.add(sliceOf(volume, shape, across, index), slice, recovery, way)
    putSlice(image(slice.height, slice.width, slice.data.map(store)), result, plan.shape, across, index)
  }, progress)
  const mark = `iconet ${site.version} ${[...used.keys()].join('-+-')} ${plan.finest}x`
  const parts = [headerLike(header, plan.shape, plan.ratios, mark), bytesOf(result, header.little)]
  return {
    image: await packed(parts),
    plain: new Blob(parts),
    shape: plan.shape,
    spacing: inMillimetres(header).map((mm, axis) => mm * plan.ratios[axis]!) as Shape,
    acquired: recovery && { matrix: recovery.found.matrix, stored: recovery.stored, window: recovery.window },
    way,
    remarks: [...(way ? [`${name}: ${SEEMS[way]}: enlarged by ${[...used.keys()][0]}`] : []), ...(recovery ? [`${name}: ${said(recovery)}`] : []), `Computed by ${[...new Set(used.values())].join(' and ')} in this browser.`],
    consistency: agreeing.found,
    models: [...used.keys()],
    seconds: (performance.now() - start) / 1000,
  }
}

async function wayOf(site: Site, factor: 2 | 4, count: number, slice: (index: number) => Image): Promise<Way | null> {
  const weights = weightsOf(site, factor, 'another way')
  return weights?.telling ? findWay((await networkOf(site, weights)).network, weights.telling, count, slice) : null
}

function refuseTooLarge(site: Site, name: string, shape: Shape, factors: (2 | 4)[], size: number[]): void {
  if (voxels(shape) > MOST_VOXELS) throw new Refusal(`${name}: the result has ${Math.round(voxels(shape) / 1e6)} million voxels; this page makes at most ${MOST_VOXELS / 1e6} million. Choose 2 times, or use iconet upscale`)
  let pixels = size[0]! * size[1]!
  for (const factor of factors) {
    const most = MOST_MEMORY / (BYTES * site.models.find((one) => one.scale === factor)!.channels * (factor / 2) ** 2)
    if (pixels > most) throw new Refusal(`${name}: slices of ${size.join(' x ')}; at ${factor} times this page takes at most ${Math.floor(Math.sqrt(most))} x ${Math.floor(Math.sqrt(most))}. Use iconet upscale`)
    pixels *= factor ** 2
  }
}

/** A layer of a scan and its result, as the viewer wants it. */
export async function layer(name: string, file: Blob, plain: Blob | null, key: string, acquired: boolean, way: Way | null): Promise<Picture> {
  const scan = await read(name, file)
  const { header, volume, across } = scan
  const place = (one: Header) => one.affine.map((row) => row.map((n) => n * unitOf(header)))
  if (key === 'scan' || !plain) return picture(volume, header.shape, place(header), false)
  const bytes = new Uint8Array(await plain.arrayBuffer())
  // The mark in a result is no reason to refuse it here.
  bytes.fill(0, 148, 228)
  const high = readHeader(name, bytes)
  const values = readVoxels(name, bytes, high)
  if (key === 'iconet') return picture(values, high.shape, place(high), false)
  const count = header.shape[across]!
  if (key === 'consistency') {
    const recovery = acquired ? findRecovery(Array.from({ length: count }, (_, index) => sliceOf(volume, header.shape, across, index))) : null
    const found = new Float32Array(volume.length)
    for (let index = 0; index < count; index++) {
      const low = sliceOf(volume, header.shape, across, index)
      const again = madeCoarse(sliceOf(values, high.shape, across, index), low, recovery, way)
      putSlice(image(low.height, low.width, again.data.map((value, i) => value - low.data[i]!)), found, header.shape, across, index)
    }
    return picture(found, header.shape, place(header), true)
  }
  const [rows, columns] = inPlane(across)
  for (let index = 0; index < count; index++) {
    const filled = resizeKspace(sliceOf(volume, header.shape, across, index), [high.shape[rows]!, high.shape[columns]!])
    if (key === 'difference') {
      const made = sliceOf(values, high.shape, across, index)
      for (let i = 0; i < filled.data.length; i++) filled.data[i] = made.data[i]! - filled.data[i]!
    }
    putSlice(filled, values, high.shape, across, index)
  }
  return picture(values, high.shape, place(high), key === 'difference')
}
