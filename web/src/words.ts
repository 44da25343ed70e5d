// Numbers and states in words.

import type { Grid, Result, Scan } from './api'

export const times = (numbers: number[]) => numbers.map((n) => String(Math.round(n * 1000) / 1000)).join('×')

export const spacing = (grid: Grid) => (grid.spacing ? `${times(grid.spacing)} mm` : 'not known')

export function state(scan: Scan): string {
  if (scan.state === 'looking') return 'Reading …'
  if (scan.state === 'choose') return 'Several series: choose one'
  if (scan.state === 'queued') return `Waits, number ${scan.position} in the queue`
  if (scan.state === 'running') {
    if (!scan.progress) return 'Upscaling …'
    const [done, total] = scan.progress
    return done < total ? `Upscaling: slice ${done} of ${total}` : 'Writing …'
  }
  if (scan.state === 'done') return 'Done'
  if (scan.state === 'refused') return 'Cannot be used'
  return 'Ready'
}

/** How well the result agrees with what was measured. */
export function agreement(result: Result): string {
  const found = result.consistency
  if (!found) return result.missing ? `Agreement with the scan is not measured: ${result.missing}.` : ''
  const mean = found.mean_ratio === null ? '' : ` Its mean is ${(100 * found.mean_ratio).toFixed(1)} % of the scan's.`
  if (found.psnr === null) return `Made coarse again, the result is the scan.${mean}`
  const how = found.psnr >= 40 ? 'agrees with the scan' : found.psnr >= 30 ? 'differs a little from the scan' : 'differs from the scan; look at the layer Consistency'
  return `Made coarse again, the result ${how} (${found.psnr.toFixed(1)} dB).${mean}`
}

export function acquired(result: Result): string {
  if (!result.acquired) return 'as stored'
  const { matrix, stored, window } = result.acquired
  const size = matrix.join() === stored.join() ? 'as stored' : `${times(matrix)}, stored as ${times(stored)}`
  return window ? `${size}; ${window} window` : size
}

export const number = (value: number) => {
  if (!Number.isFinite(value)) return '–'
  const size = Math.abs(value)
  return size !== 0 && (size < 0.01 || size >= 1e6) ? value.toExponential(2) : String(Math.round(value * 100) / 100)
}
