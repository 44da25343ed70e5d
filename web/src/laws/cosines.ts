// The discrete cosine transform; see iconet/physics/cosines.py.

import { forward, inverse } from './fourier'
import type { Image, Size } from './image'
import { image, transposed } from './image'

/** The first coefficients of the orthonormal DCT-II of each row. */
function alongRows({ data, height, width }: Image, count: number): Image {
  const found = image(height, count)
  const re = new Float64Array(width)
  const im = new Float64Array(width)
  const ahead = (width + 1) >> 1
  const weight = Math.sqrt(2 / width)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < ahead; x++) re[x] = data[y * width + 2 * x]!
    for (let x = 0; x < width - ahead; x++) re[width - 1 - x] = data[y * width + 2 * x + 1]!
    im.fill(0)
    forward(re, im)
    for (let k = 0; k < count; k++) {
      const angle = (Math.PI * k) / (2 * width)
      found.data[y * count + k] = weight * (re[k]! * Math.cos(angle) + im[k]! * Math.sin(angle))
    }
    found.data[y * count] = found.data[y * count]! * Math.SQRT1_2
  }
  return found
}

/** Rows of `width` voxels from their first coefficients; the others are 0. */
function backAlongRows({ data, height, width: count }: Image, width: number): Image {
  const found = image(height, width)
  const re = new Float64Array(width)
  const im = new Float64Array(width)
  const ahead = (width + 1) >> 1
  const weight = Math.sqrt(width / 2)
  for (let y = 0; y < height; y++) {
    const coefficient = (k: number) => (k < count ? weight * data[y * count + k]! * (k === 0 ? Math.SQRT2 : 1) : 0)
    re[0] = coefficient(0)
    im[0] = 0
    for (let k = 1; k < width; k++) {
      const angle = (Math.PI * k) / (2 * width)
      const [c, s] = [Math.cos(angle), Math.sin(angle)]
      const [a, b] = [coefficient(k), -coefficient(width - k)]
      re[k] = a * c - b * s
      im[k] = a * s + b * c
    }
    inverse(re, im)
    for (let x = 0; x < ahead; x++) found.data[y * width + 2 * x] = re[x]!
    for (let x = 0; x < width - ahead; x++) found.data[y * width + 2 * x + 1] = re[width - 1 - x]!
  }
  return found
}

export const cosines2 = (slice: Image, [rows, columns]: Size): Image => transposed(alongRows(transposed(alongRows(slice, columns)), rows))

export const fromCosines2 = (coefficients: Image, [rows, columns]: Size): Image => transposed(backAlongRows(transposed(backAlongRows(coefficients, columns)), rows))
