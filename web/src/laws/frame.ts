// Air around an object, which the network is not given; see iconet/upscaling/background.py.

import type { Image, Size } from './image'

export interface Frame { top: number; bottom: number; left: number; right: number }

const CELL = 8
const FAINT = 0.03
const BRIGHT = 0.2
const WHITE = 2
const MARGIN = 4
/** Slices with less than this share of the brightest one's range can be noise alone. */
export const DIM = 0.1

/** The rectangle that holds all that is not air, and a margin around it; null where all is air. */
export function frameOfObject(slices: Image[], [height, width]: Size, multiple: number): Frame | null {
  const [rows, columns] = [Math.ceil(height / CELL), Math.ceil(width / CELL)]
  const bright = new Uint8Array(rows * columns)
  for (const { data } of slices) {
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        let [sum, most, count] = [0, 0, 0]
        for (let y = row * CELL; y < Math.min(height, (row + 1) * CELL); y++) {
          for (let x = column * CELL; x < Math.min(width, (column + 1) * CELL); x++, count++) {
            const value = Math.abs(data[y * width + x]!)
            sum += value
            if (value > most) most = value
          }
        }
        if (sum > FAINT * count || most > BRIGHT) bright[row * columns + column] = 1
      }
    }
  }
  if (!bright.includes(1)) return null
  const inRow = (row: number) => bright.subarray(row * columns, (row + 1) * columns).includes(1)
  const inColumn = (column: number) => Array.from({ length: rows }, (_, row) => bright[row * columns + column]).includes(1)
  const [top, bottom] = side(Array.from({ length: rows }, (_, i) => inRow(i)), height, multiple)
  const [left, right] = side(Array.from({ length: columns }, (_, i) => inColumn(i)), width, multiple)
  return { top, bottom, left, right }
}

function side(cells: boolean[], size: number, multiple: number): Size {
  let first = Math.max(0, cells.indexOf(true) * CELL - MARGIN)
  const last = (cells.lastIndexOf(true) + 1) * CELL + MARGIN
  const length = Math.ceil((last - first) / multiple) * multiple
  first = Math.max(0, Math.min(first, size - length))
  return [first, Math.min(size, first + length)]
}

/** Whether the pixels of a slice are as independent as those of noise. */
export function isNoise({ data, height, width }: Image): boolean {
  const means: number[] = []
  const all: number[] = []
  const [rows, columns] = [Math.floor(height / CELL), Math.floor(width / CELL)]
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      let sum = 0
      for (let y = row * CELL; y < (row + 1) * CELL; y++) for (let x = column * CELL; x < (column + 1) * CELL; x++) sum += data[y * width + x]!
      means.push(sum / CELL ** 2)
    }
  }
  if (!means.length) return false
  for (const value of data) all.push(value)
  return variance(means) * CELL ** 2 < WHITE * variance(all)
}

export function variance(values: ArrayLike<number>): number {
  let [sum, squares] = [0, 0]
  for (let i = 0; i < values.length; i++) sum += values[i]!
  const middle = sum / values.length
  for (let i = 0; i < values.length; i++) squares += (values[i]! - middle) ** 2
  return squares / values.length
}
