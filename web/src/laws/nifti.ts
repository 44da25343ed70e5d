// NIfTI-1 files of one scan in three dimensions; see iconet/images/reading.py, geometry.py and writing.py.

import { rint } from './image'
import { Refusal } from './refusal'
import type { Shape, Values } from './volume'
import { voxels } from './volume'

const COMMENT = 6
const LONGEST_DESCRIPTION = 79
const MARK = /\biconet \d[\w.+]* (?:[^;\n]* )?\d[\d.]*x\b/
const SINGULAR = 1e-5
const WHOLE = 2 ** 24 // float32 holds all whole numbers up to it
const FLOAT = 16

type Reader = 'getInt8' | 'getUint8' | 'getInt16' | 'getUint16' | 'getInt32' | 'getUint32' | 'getFloat32' | 'getFloat64'
const TYPES: Record<number, { reader: Reader; bytes: number; make: ((n: number) => Values) | null; range: [number, number] }> = {
  2: { reader: 'getUint8', bytes: 1, make: (n) => new Uint8Array(n), range: [0, 255] },
  4: { reader: 'getInt16', bytes: 2, make: (n) => new Int16Array(n), range: [-32768, 32767] },
  8: { reader: 'getInt32', bytes: 4, make: (n) => new Int32Array(n), range: [-(2 ** 31), 2 ** 31 - 1] },
  16: { reader: 'getFloat32', bytes: 4, make: null, range: [0, 0] },
  64: { reader: 'getFloat64', bytes: 8, make: null, range: [0, 0] },
  256: { reader: 'getInt8', bytes: 1, make: (n) => new Int8Array(n), range: [-128, 127] },
  512: { reader: 'getUint16', bytes: 2, make: (n) => new Uint16Array(n), range: [0, 65535] },
  768: { reader: 'getUint32', bytes: 4, make: (n) => new Uint32Array(n), range: [0, 2 ** 32 - 1] },
}

export type Matrix = number[][] // (3, 4), to the unit of the header

export interface Header {
  bytes: Uint8Array // as it was, without extensions
  little: boolean
  shape: Shape
  type: number
  offset: number
  slope: number
  inter: number
  spacing: Shape
  affine: Matrix
  intent: number
  description: string
  units: number
  comments: Uint8Array[]
}

export function readHeader(name: string, file: Uint8Array): Header {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  if (file.length < 352) throw new Refusal(`${name}: not a NIfTI file, or cut off; export it as NIfTI again`)
  const little = view.getInt32(0, true) === 348
  if (!little && view.getInt32(0, false) !== 348) throw new Refusal(`${name}: not a NIfTI-1 file; this page takes only these, as .nii or .nii.gz`)
  if (text(file, 344, 4) !== 'n+1') throw new Refusal(`${name}: header and voxels in two files; save it as one .nii`)
  const short = (at: number) => view.getInt16(at, little)
  const float = (at: number) => view.getFloat32(at, little)
  const dims = Array.from({ length: Math.min(Math.max(short(40), 0), 7) }, (_, i) => short(42 + 2 * i))
  while (dims.length > 3 && dims.at(-1) === 1) dims.pop()
  if (dims.length !== 3) throw new Refusal(`${name}: ${dims.length}-D; this page takes single volumes in three dimensions. iconet upscale takes it`)
  const shape = dims as Shape
  if (Math.min(...shape) < 1) throw new Refusal(`${name}: no voxels (its size is ${shape.join(' x ')}); export it again`)
  const type = short(70)
  const stored = TYPES[type]
  if (!stored) throw new Refusal(`${name}: values of NIfTI type ${type}, which this page does not take; iconet upscale may`)
  const spacing = [80, 84, 88].map(float) as Shape
  if (!spacing.every((mm) => mm > 0 && Number.isFinite(mm))) throw new Refusal(`${name}: the voxel spacing (${spacing.join(', ')}) must be positive; correct the header's pixdim`)
  const offset = float(108)
  if (!(offset >= 348 && offset <= file.length)) throw new Refusal(`${name}: its header puts the voxels at byte ${offset}, which is impossible; export it again`)
  const given = float(112)
  const scaled = given !== 0 && Number.isFinite(given)
  const held = file.length - Math.trunc(offset)
  if (voxels(shape) * stored.bytes > held) throw new Refusal(`${name}: truncated: its header claims ${voxels(shape) * stored.bytes} bytes of voxels and the file holds ${held}; copy or export it again`)
  const header: Header = {
    bytes: file.slice(0, 348), little, shape, type, offset: Math.trunc(offset), slope: scaled ? given : 1, inter: scaled ? float(116) : 0,
    spacing, affine: [], intent: short(68), description: text(file, 148, 80), units: file[123]!, comments: [],
  }
  header.affine = short(254) > 0 ? sform(header) : short(252) > 0 ? qform(header) ?? base(header) : base(header)
  const steps = [0, 1, 2].map((axis) => header.affine.map((row) => row[axis]!))
  const lengths = steps.map((step) => Math.hypot(...step))
  if (!header.affine.flat().every(Number.isFinite)) throw new Refusal(`${name}: the affine holds NaN or Inf; repair its sform and qform`)
  if (!lengths.every(Boolean) || Math.abs(determinant(steps.map((step, i) => step.map((n) => n / lengths[i]!)))) < SINGULAR) throw new Refusal(`${name}: the affine is singular (its voxels have no volume); repair the header's sform and qform`)
  header.spacing = lengths as Shape
  header.comments = comments(file, header)
  const said = [header.description, ...header.comments.map((one) => text(one, 0, one.length))]
  if (said.some((line) => MARK.test(line))) throw new Refusal(`${name}: is a result of iconet already; give the scan that it was made from`)
  return header
}

/** All voxels, with slope and intercept applied. */
export function readVoxels(name: string, file: Uint8Array, header: Header): Float32Array {
  const { reader, bytes } = TYPES[header.type]!
  const view = new DataView(file.buffer, file.byteOffset + header.offset)
  const values = new Float32Array(voxels(header.shape))
  const plain = header.slope === 1 && header.inter === 0
  let [nan, infinite, wide] = [0, 0, false]
  for (let i = 0; i < values.length; i++) {
    const stored = view[reader](i * bytes, header.little)
    const value = plain ? stored : stored * header.slope + header.inter
    values[i] = value
    if (Number.isNaN(value)) nan++
    else if (!Number.isFinite(values[i]!)) infinite++
    if (plain && bytes === 4 && reader !== 'getFloat32' && Math.abs(stored) > WHOLE) wide = true
  }
  if (infinite) throw new Refusal(`${name}: ${infinite} voxels are Inf or beyond float32; replace them first`)
  if (nan) throw new Refusal(`${name}: ${nan} voxels are NaN, which this page does not take; iconet upscale does`)
  if (wide) throw new Refusal(`${name}: whole numbers above ${WHOLE}, which this page would round; iconet upscale does not`)
  return values
}

/** What results are stored in, and how values get there. */
export function storage(header: Header): { make(n: number): Values; store(value: number): number } {
  const { make, range: [least, most] } = TYPES[header.type]!
  if (!make) return { make: (n) => new Float32Array(n), store: (value) => value }
  const { slope, inter } = header
  return { make, store: (value) => Math.min(Math.max(rint((value - inter) / slope), least), most) }
}

/** The header of a result, and its extensions: all that is before the voxels. */
export function headerLike(header: Header, shape: Shape, ratios: Shape, mark: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(header.bytes)
  const view = new DataView(bytes.buffer)
  const { little } = header
  const shift = ratios.map((ratio, axis) => (header.shape[axis]! - 1) / 2 - ((shape[axis]! - 1) / 2) * ratio)
  const moved = (matrix: Matrix) => matrix.map((row) => row[3]! + shift.reduce((sum, n, axis) => sum + n * row[axis]!, 0))
  view.setInt16(40, 3, little)
  shape.forEach((size, axis) => view.setInt16(42 + 2 * axis, size, little))
  for (let axis = 3; axis < 7; axis++) view.setInt16(42 + 2 * axis, 1, little)
  const quaternion = qform(header)
  ratios.forEach((ratio, axis) => view.setFloat32(80 + 4 * axis, view.getFloat32(80 + 4 * axis, little) * ratio, little))
  if (quaternion) moved(quaternion).forEach((mm, axis) => view.setFloat32(268 + 4 * axis, mm, little))
  else view.setInt16(252, 0, little)
  if (view.getInt16(254, little) > 0) {
    const rows = sform(header)
    const ends = moved(rows)
    rows.forEach((row, y) => [...row.slice(0, 3).map((n, axis) => n * ratios[axis]!), ends[y]!].forEach((n, x) => view.setFloat32(280 + 16 * y + 4 * x, n, little)))
  }
  const across = ((bytes[39]! >> 4) & 3) - 1
  const axis = across < 0 ? 2 : across
  if (shape[axis] !== header.shape[axis]) {
    view.setUint8(122, 0)
    view.setInt16(74, 0, little)
    view.setInt16(120, 0, little)
    view.setFloat32(132, 0, little)
  }
  const integers = TYPES[header.type]!.make !== null
  const type = integers ? header.type : FLOAT
  view.setInt16(70, type, little)
  view.setInt16(72, 8 * TYPES[type]!.bytes, little)
  view.setFloat32(112, integers ? header.slope : 1, little)
  view.setFloat32(116, integers ? header.inter : 0, little)
  const kept = [...header.comments]
  const line = header.description ? `${header.description.trimEnd()}; ${mark}` : mark
  const ascii = new TextEncoder().encode(mark)
  if (line.length <= LONGEST_DESCRIPTION) {
    bytes.fill(0, 148, 228)
    for (let i = 0; i < line.length; i++) bytes[148 + i] = line.charCodeAt(i)
  } else kept.push(ascii)
  return withComments(bytes, kept, little)
}

function withComments(bytes: Uint8Array, kept: Uint8Array[], little: boolean): Uint8Array<ArrayBuffer> {
  const sizes = kept.map((one) => 16 * Math.ceil((one.length + 8) / 16))
  const made = new Uint8Array(352 + sizes.reduce((sum, size) => sum + size, 0))
  made.set(bytes)
  const view = new DataView(made.buffer)
  view.setFloat32(108, made.length, little)
  made[348] = kept.length ? 1 : 0
  let at = 352
  kept.forEach((one, i) => {
    view.setInt32(at, sizes[i]!, little)
    view.setInt32(at + 4, COMMENT, little)
    made.set(one, at + 8)
    at += sizes[i]!
  })
  return made
}

/** Voxels as bytes in the header's order. */
export function bytesOf(values: Values, little: boolean): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(values.buffer as ArrayBuffer, values.byteOffset, values.byteLength)
  if (little || values.BYTES_PER_ELEMENT === 1) return bytes
  const swapped = new Uint8Array(bytes.length)
  const size = values.BYTES_PER_ELEMENT
  for (let i = 0; i < bytes.length; i++) swapped[i] = bytes[i - (i % size) + (size - 1 - (i % size))]!
  return swapped
}

function text(bytes: Uint8Array, at: number, length: number): string {
  let found = ''
  for (let i = at; i < at + length && bytes[i]; i++) found += String.fromCharCode(bytes[i]!)
  return found
}

function comments(file: Uint8Array, { offset, little }: Header): Uint8Array[] {
  const found: Uint8Array[] = []
  if (!file[348]) return found
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  for (let at = 352; at + 16 <= offset;) {
    const size = view.getInt32(at, little)
    if (size < 16 || at + size > offset) break
    if (view.getInt32(at + 4, little) === COMMENT) {
      const whole = file.slice(at + 8, at + size)
      let end = whole.length
      while (end > 0 && !whole[end - 1]) end--
      found.push(whole.slice(0, end))
    }
    at += size
  }
  return found
}

const fieldsOf = ({ bytes, little }: Header) => {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  return (at: number) => view.getFloat32(at, little)
}

function sform(header: Header): Matrix {
  const float = fieldsOf(header)
  return [0, 1, 2].map((y) => [0, 1, 2, 3].map((x) => float(280 + 16 * y + 4 * x)))
}

/** Null where the quaternion is none. */
function qform(header: Header): Matrix | null {
  const float = fieldsOf(header)
  const [b, c, d] = [256, 260, 264].map(float) as Shape
  const rest = 1 - (b * b + c * c + d * d)
  if (rest < -3 * 1.1920929e-7 || Number.isNaN(rest)) return null
  const a = Math.sqrt(Math.max(rest, 0))
  const steps = [float(80), float(84), float(88) * (float(76) < 0 ? -1 : 1)]
  const turned = [
    [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
    [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
    [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
  ]
  return turned.map((row, y) => [...row.map((n, x) => n * steps[x]!), float(268 + 4 * y)])
}

/** Of files that say nothing of their place, as nibabel takes them. */
function base(header: Header): Matrix {
  const float = fieldsOf(header)
  const steps = [-float(80), float(84), float(88)]
  return [0, 1, 2].map((y) => [...[0, 1, 2].map((x) => (x === y ? steps[x]! : 0)), (-steps[y]! * (header.shape[y]! - 1)) / 2])
}

const determinant = ([a, b, c]: number[][]) =>
  a![0]! * (b![1]! * c![2]! - b![2]! * c![1]!) - a![1]! * (b![0]! * c![2]! - b![2]! * c![0]!) + a![2]! * (b![0]! * c![1]! - b![1]! * c![0]!)
