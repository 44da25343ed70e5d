// Changing the number of voxels in k-space without moving the anatomy; see iconet/physics/kspace.py.

import { forward, frequencyAt, imageOf, inverse, spectrumOf } from './fourier'
import type { Image, Size } from './image'
import { image, transposed } from './image'

function resizedRows({ data, height, width }: Image, size: number): Image {
  const found = image(height, size)
  const band = Math.min(width, size)
  const [re, im] = [new Float64Array(width), new Float64Array(width)]
  const [newRe, newIm] = [new Float64Array(size), new Float64Array(size)]
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) re[x] = data[y * width + x]!
    im.fill(0)
    forward(re, im)
    newRe.fill(0)
    newIm.fill(0)
    for (let k = 0; 2 * k <= band; k++) {
      // One sample at the Nyquist frequency becomes the two ends of a larger band.
      const half = 2 * k === width && size > width ? 0.5 : 1
      const gain = (half * size) / width
      const turn = Math.PI * k * (1 / size - 1 / width)
      const [c, s] = [gain * Math.cos(turn), gain * Math.sin(turn)]
      const [a, b] = [re[k]! * c - im[k]! * s, re[k]! * s + im[k]! * c]
      newRe[k] = a
      newIm[k] = 2 * k === size || k === 0 ? 0 : b
      if (k > 0 && 2 * k !== size) {
        newRe[size - k] = a
        newIm[size - k] = -b
      }
    }
    inverse(newRe, newIm)
    found.data.set(newRe, y * size)
  }
  return found
}

/** Over the same field of view, by cropping k-space or filling it with zeros. */
export function resizeKspace(slice: Image, [rows, columns]: Size): Image {
  if (rows !== slice.height) slice = transposed(resizedRows(transposed(slice), rows))
  return columns === slice.width ? slice : resizedRows(slice, columns)
}

/** Replaces the band of an image by that of a smaller one over the same field of view.
 *
 * `allowed` is how far the band of the image may stay from `low` at each voxel. */
export function withLowFrequencies(high: Image, low: Image, allowed: Float32Array): Image {
  const found = spectrumOf(low.data, low.height, low.width)
  const spectrum = spectrumOf(high.data, high.height, high.width)
  const gain = (high.height / low.height) * (high.width / low.width)
  const [rows, columns] = [(low.height - 1) >> 1, (low.width - 1) >> 1]
  const each = (act: (inLow: number, inHigh: number, c: number, s: number) => void) => {
    for (let y = 0; y < low.height; y++) {
      const v = frequencyAt(y, low.height)
      if (Math.abs(v) > rows) continue
      const row = v < 0 ? v + high.height : v
      for (let x = 0; x < low.width; x++) {
        const u = frequencyAt(x, low.width)
        if (Math.abs(u) > columns) continue
        const column = u < 0 ? u + high.width : u
        const turn = Math.PI * (v * (1 / high.height - 1 / low.height) + u * (1 / high.width - 1 / low.width))
        act(y * low.width + x, row * high.width + column, gain * Math.cos(turn), gain * Math.sin(turn))
      }
    }
  }
  if (allowed.some((value) => value !== 0)) {
    const missing = { re: new Float64Array(found.re.length), im: new Float64Array(found.re.length), height: low.height, width: low.width }
    each((i, j, c, s) => {
      const size = c * c + s * s
      missing.re[i] = found.re[i]! - (spectrum.re[j]! * c + spectrum.im[j]! * s) / size
      missing.im[i] = found.im[i]! - (spectrum.im[j]! * c - spectrum.re[j]! * s) / size
    })
    const kept = imageOf(missing)
    for (let i = 0; i < kept.length; i++) kept[i] = Math.min(Math.max(kept[i]!, -allowed[i]!), allowed[i]!)
    const stays = spectrumOf(kept, low.height, low.width)
    for (let i = 0; i < kept.length; i++) {
      found.re[i] = found.re[i]! - stays.re[i]!
      found.im[i] = found.im[i]! - stays.im[i]!
    }
  }
  each((i, j, c, s) => {
    spectrum.re[j] = found.re[i]! * c - found.im[i]! * s
    spectrum.im[j] = found.re[i]! * s + found.im[i]! * c
  })
  return image(high.height, high.width, imageOf(spectrum))
}
