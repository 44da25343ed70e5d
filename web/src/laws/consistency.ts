// Whether a result still says what was measured; see iconet/upscaling/input_consistency.py.

import { frequencyAt, imageOf, spectrumOf } from './fourier'
import type { Image } from './image'
import { extremes, image, sizeOf } from './image'
import { resizeKspace } from './kspace'
import type { Recovery } from './recovery'
import { acquiredThrough } from './spread'
import type { Way } from './way'
import { gainAt } from './window'

/** A slice of a result as it would have been acquired and stored. */
export function madeCoarse(high: Image, low: Image, recovery: Recovery | null, way: Way | null): Image {
  if (way) return acquiredThrough(way === 'another way' ? 'block means' : way, high, high.width / low.width)
  const coarse = resizeKspace(high, sizeOf(low))
  if (!recovery) return coarse
  const spectrum = spectrumOf(coarse.data, coarse.height, coarse.width)
  const [rows, columns] = recovery.found.matrix
  for (let row = 0, i = 0; row < coarse.height; row++) {
    for (let column = 0; column < coarse.width; column++, i++) {
      const [y, x] = [(2 * Math.abs(frequencyAt(row, coarse.height))) / rows, (2 * Math.abs(frequencyAt(column, coarse.width))) / columns]
      const gain = y <= 1 && x <= 1 ? gainAt(recovery.window ? recovery.found.window : null, y, x) : 0
      spectrum.re[i] = spectrum.re[i]! * gain
      spectrum.im[i] = spectrum.im[i]! * gain
    }
  }
  return image(coarse.height, coarse.width, imageOf(spectrum))
}

export interface Agreement { psnr: number | null; mean_ratio: number | null }

/** Sums over the slices of a scan. */
export class Agreeing {
  private error = 0
  private total = 0
  private coarse = 0
  private largest = -Infinity
  private count = 0

  add(low: Image, high: Image, recovery: Recovery | null, way: Way | null): void {
    const again = madeCoarse(high, low, recovery, way)
    for (let i = 0; i < low.data.length; i++) {
      this.error += (again.data[i]! - low.data[i]!) ** 2
      this.total += low.data[i]!
      this.coarse += again.data[i]!
    }
    this.largest = Math.max(this.largest, extremes(low.data)[1])
    this.count += low.data.length
  }

  get found(): Agreement {
    const mean = this.error / this.count
    return { psnr: mean && this.largest > 0 ? 10 * Math.log10(this.largest ** 2 / mean) : null, mean_ratio: this.total ? this.coarse / this.total : null }
  }
}
