// What is no MR image; see iconet/images/kind/. This page takes nothing else.

import type { Header } from './nifti'
import type { Shape } from './volume'

const SUFFIXES: Record<string, string> = {
  ...Object.fromEntries(['t1', 't2', 't2star', 't1rho', 'r1', 'r2', 'r2star', 'pd', 'm0', 's0', 'mtr', 'mtv', 'mwf', 'pdt2', 'chi', 'tb1', 'rb1', 'adc'].map((name) => [`${name}map`, 'a quantitative map'])),
  ...Object.fromEntries(['mtsat', 'fieldmap', 'dwimap', 'statmap', 'cbf', 'adc'].map((name) => [name, 'a quantitative map'])),
  ...Object.fromEntries(['phase', 'phase1', 'phase2', 'phasediff', 'ph'].map((name) => [name, 'a phase image'])),
  ...Object.fromEntries(['real', 'imaginary', 'imag'].map((name) => [name, 'a part of a complex image'])),
  ...Object.fromEntries(['dseg', 'seg', 'label', 'labels', 'segmentation', 'parcellation', 'aseg', 'aparc', 'wmparc'].map((name) => [name, 'labels'])),
  ct: 'CT', pet: 'PET', pt: 'PET', mask: 'a mask', roi: 'a mask', probseg: 'probabilities',
}
const PARTS: Record<string, string> = { phase: 'a phase image', real: 'a part of a complex image', imag: 'a part of a complex image' }
const WHOLE = ['aseg', 'aparc+aseg', 'aparc.a2009s+aseg', 'wmparc', 'ribbon', 'segmentation', 'labels']
const FEW = 256
const ALIKE = 0.5
const PHASES = [[-Math.PI, Math.PI], [0, 2 * Math.PI], [-4096, 4095], [0, 4095]] as const

/** What a scan is instead of an MR image, in words; null for one. */
export function otherThanMr(name: string, header: Header, volume: Float32Array, shape: Shape): string | null {
  return byHeader(header) ?? byName(name) ?? byValues(volume, shape)
}

function byHeader({ intent, description, units }: Header): string | null {
  if (intent === 1002 || intent === 1003) return 'labels, by its NIfTI intent'
  if (intent === 1001 || (intent >= 2 && intent <= 24)) return 'a quantitative map, by its NIfTI intent'
  if (/tissue class \d/i.test(description)) return 'probabilities, by its NIfTI description'
  if (/^(?!.*unwrap).*\b(?:phase (?:map|image)|wrapped phase)\b/i.test(description)) return 'a phase image, by its NIfTI description'
  return [32, 40, 48].includes(units & 0x38) ? 'a quantitative map, by its NIfTI units' : null
}

export function byName(name: string): string | null {
  const part = /(?:^|_)part-([a-z]+)(?=[_.])/.exec(name)
  if (part && PARTS[part[1]!]) return `${PARTS[part[1]!]}, by its name`
  if (WHOLE.includes(name.toLowerCase().replace(/\.nii(\.gz)?$/, ''))) return 'labels, by its name'
  const at = name.lastIndexOf('_')
  if (at <= 0) return null
  const suffix = name.slice(at + 1).split('.')[0]!
  const again = /^(ph|real|imaginary)[a-h]$/.exec(suffix)
  const known = SUFFIXES[again ? again[1]! : suffix.toLowerCase()]
  return known ? `${known}, by its name` : null
}

function byValues(volume: Float32Array, shape: Shape): string | null {
  if (inHounsfieldUnits(volume, shape)) return 'CT, by its values'
  if (labelsLike(volume, shape)) return 'labels, as far as its values tell'
  return phaseLike(volume, shape) ? 'a phase image, as far as its values tell' : null
}

function inHounsfieldUnits(volume: Float32Array, [columns, rows, slices]: Shape): boolean {
  const least = volume.reduce((a, b) => Math.min(a, b), Infinity)
  if (least > -900) return false
  const [i1, j1, k1] = [columns, rows, slices].map((n) => Math.max(1, Math.floor(n / 64))) as Shape
  const sample: number[] = []
  for (let k = 0; k < slices; k += k1) for (let j = 0; j < rows; j += j1) for (let i = 0; i < columns; i += i1) sample.push(volume[i + columns * (j + rows * k)]!)
  const lowest = sample.reduce((a, b) => Math.min(a, b), Infinity)
  const share = (low: number, high: number) => sample.filter((value) => low <= value && value <= high).length / sample.length
  const below = sample.filter((value) => value < -1100 && value > lowest).length / sample.length
  const air = share(-1100, -900)
  return air >= 0.05 && share(-200, 200) >= 0.1 && air > 3 * Math.max(share(900, 1100), below)
}

/** Pairs of neighbours in some whole slices. */
function* neighbours(volume: Float32Array, [columns, rows, slices]: Shape): Generator<[number, number]> {
  for (let k = 0; k < slices; k += Math.max(1, Math.floor(slices / 16))) {
    for (let j = 0; j < rows; j++) {
      for (let i = 0; i < columns; i++) {
        const at = i + columns * (j + rows * k)
        if (i + 1 < columns) yield [volume[at]!, volume[at + 1]!]
        if (j + 1 < rows) yield [volume[at]!, volume[at + columns]!]
      }
    }
  }
}

function labelsLike(volume: Float32Array, shape: Shape): boolean {
  if (!volume.every((value) => Number.isInteger(value))) return false
  const counts = new Map<number, number>()
  const [columns, rows, slices] = shape
  for (let k = 0; k < slices; k += Math.max(1, Math.floor(slices / 16))) {
    for (let at = columns * rows * k; at < columns * rows * (k + 1); at++) {
      counts.set(volume[at]!, (counts.get(volume[at]!) ?? 0) + 1)
      if (counts.size > FEW) return false
    }
  }
  if (counts.size < 2) return false
  const most = Math.max(...counts.values())
  const background = Math.min(...[...counts].filter(([, count]) => count === most).map(([value]) => value))
  let [alike, pairs] = [0, 0]
  for (const [one, other] of neighbours(volume, shape)) {
    if (one === background && other === background) continue
    pairs++
    if (one === other) alike++
  }
  return alike > ALIKE * pairs
}

function phaseLike(volume: Float32Array, shape: Shape): boolean {
  let [least, most] = [Infinity, -Infinity]
  for (const value of volume) {
    least = Math.min(least, value)
    most = Math.max(most, value)
  }
  return PHASES.some(([low, high]) => {
    const slack = 1e-3 * (high - low)
    if (low - slack > least || most > high + slack || most - least < 0.97 * (high - low)) return false
    let [jumps, pairs] = [0, 0]
    for (const [one, other] of neighbours(volume, shape)) {
      pairs++
      if (Math.abs(one - other) > 0.8 * (high - low)) jumps++
    }
    return jumps > 2e-3 * pairs
  })
}
