// Scans as files in the browser's memory: opened, packed, and as pictures want them.

import { bytesOf } from '../laws/nifti'
import { Refusal } from '../laws/refusal'
import type { Shape, Values } from '../laws/volume'

export const LARGEST_FILE = 1e9 // bytes, unpacked

/** All bytes of a file, unpacked where it is packed. */
export async function opened(name: string, file: Blob): Promise<Uint8Array<ArrayBuffer>> {
  if (!/\.nii(\.gz)?$/i.test(name)) throw new Refusal(`${name}: this page takes NIfTI files, .nii or .nii.gz; iconet view and iconet upscale take others`)
  const start = new Uint8Array(await file.slice(0, 2).arrayBuffer())
  if (start[0] !== 0x1f || start[1] !== 0x8b) {
    if (file.size > LARGEST_FILE) throw tooLarge(name)
    return new Uint8Array(await file.arrayBuffer())
  }
  const pieces: Uint8Array[] = []
  let size = 0
  const reader = file.stream().pipeThrough(new DecompressionStream('gzip')).getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      size += value.length
      if (size > LARGEST_FILE) {
        await reader.cancel()
        throw tooLarge(name)
      }
      pieces.push(value)
    }
  } catch (error) {
    if (error instanceof Refusal) throw error
    throw new Refusal(`${name}: damaged, or cut off, inside its gzip compression; copy or export it again`)
  }
  const whole = new Uint8Array(size)
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}

const tooLarge = (name: string) => new Refusal(`${name}: larger than ${LARGEST_FILE / 1e9} GB, the most this page takes; iconet upscale has no such limit`)

/** Compressed as .nii.gz is. */
export async function packed(parts: BlobPart[]): Promise<Blob> {
  return new Response(new Blob(parts).stream().pipeThrough(new CompressionStream('gzip'))).blob()
}

const MOST_VOXELS = 2 ** 26 // of a picture: browsers hold it as numbers and as a texture
const BRIGHTEST = 99.8
const DARKEST = 0.5

export interface Picture { data: ArrayBuffer; about: { window: [number, number]; every: number[] } }

/** Values as a picture's file, with what is black and white in it. */
export function picture(values: Values, shape: Shape, affine: number[][], signed: boolean): Picture {
  const every = [1, 1, 1]
  const sizes = () => shape.map((n, axis) => Math.ceil(n / every[axis]!)) as Shape
  while (sizes().reduce((product, n) => product * n, 1) > MOST_VOXELS) {
    const largest = [0, 1, 2].reduce((best, axis) => (shape[axis]! / every[axis]! > shape[best]! / every[best]! ? axis : best))
    every[largest] = every[largest]! + 1
  }
  const [columns, rows, slices] = sizes()
  const shown = values instanceof Int16Array ? new Int16Array(columns * rows * slices) : new Float32Array(columns * rows * slices)
  for (let k = 0, i = 0; k < slices; k++) {
    for (let j = 0; j < rows; j++) for (let x = 0, at = shape[0] * (j * every[1]! + shape[1] * k * every[2]!); x < columns; x++, at += every[0]!) shown[i++] = values[at]!
  }
  const file = new ArrayBuffer(352 + shown.byteLength)
  const view = new DataView(file)
  view.setInt32(0, 348, true)
  ;[3, columns, rows, slices, 1, 1, 1, 1].forEach((n, i) => view.setInt16(40 + 2 * i, n, true))
  view.setInt16(70, shown instanceof Int16Array ? 4 : 16, true)
  view.setInt16(72, 8 * shown.BYTES_PER_ELEMENT, true)
  view.setFloat32(76, 1, true)
  for (let axis = 0; axis < 3; axis++) view.setFloat32(80 + 4 * axis, every[axis]! * Math.hypot(...affine.map((row) => row[axis]!)), true)
  view.setFloat32(108, 352, true)
  view.setFloat32(112, 1, true)
  view.setUint8(123, 2)
  view.setInt16(254, 1, true)
  affine.forEach((row, y) => row.forEach((n, x) => view.setFloat32(280 + 16 * y + 4 * x, x < 3 ? n * every[x]! : n, true)))
  view.setUint32(344, 0x6e2b3100, false)
  new Uint8Array(file, 352).set(bytesOf(shown, true))
  return { data: file, about: { window: windowOf(shown, [columns, rows, slices], signed), every } }
}

/** Black and white, by percentiles of what is not background. */
function windowOf(values: Values, [columns, rows, slices]: Shape, signed: boolean): [number, number] {
  const steps = [columns, rows, slices].map((n) => Math.max(1, Math.floor(n / 96))) as Shape
  const some: number[] = []
  for (let k = 0; k < slices; k += steps[2]) for (let j = 0; j < rows; j += steps[1]) for (let i = 0; i < columns; i += steps[0]) some.push(values[i + columns * (j + rows * k)]!)
  const at = (sorted: number[], percent: number) => sorted[Math.round(((sorted.length - 1) * percent) / 100)]!
  if (signed) {
    const most = at(some.map(Math.abs).sort((a, b) => a - b), BRIGHTEST)
    return most > 0 ? [-most, most] : [-1, 1]
  }
  some.sort((a, b) => a - b)
  const inside = some.filter((value) => value !== some[0])
  if (!inside.length) return [some[0]!, some[0]! + 1]
  const [low, high] = [at(inside, DARKEST), at(inside, BRIGHTEST)]
  return high > low ? [low, high] : [low, low + 1]
}
