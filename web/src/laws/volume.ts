// A volume in the order of NIfTI (the first axis fastest), and its slices across an axis.

import type { Image, Size } from './image'
import { image } from './image'

export type Shape = [number, number, number]
export type Values = Float32Array | Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array

export const inPlane = (across: number): Size => [across === 0 ? 1 : 0, across === 2 ? 1 : 2]
export const voxels = (shape: number[]) => shape.reduce((product, n) => product * n, 1)

function strides(shape: Shape, across: number): [number, number, number] {
  const steps = [1, shape[0], shape[0] * shape[1]] as const
  const [rows, columns] = inPlane(across)
  return [steps[across]!, steps[rows]!, steps[columns]!]
}

export function sliceOf(volume: Values, shape: Shape, across: number, index: number): Image {
  const [step, down, along] = strides(shape, across)
  const [rows, columns] = inPlane(across)
  const found = image(shape[rows]!, shape[columns]!)
  for (let y = 0, i = 0; y < found.height; y++) for (let x = 0, at = index * step + y * down; x < found.width; x++, i++, at += along) found.data[i] = volume[at]!
  return found
}

export function putSlice(slice: Image, volume: Values, shape: Shape, across: number, index: number): void {
  const [step, down, along] = strides(shape, across)
  for (let y = 0, i = 0; y < slice.height; y++) for (let x = 0, at = index * step + y * down; x < slice.width; x++, i++, at += along) volume[at] = slice.data[i]!
}
