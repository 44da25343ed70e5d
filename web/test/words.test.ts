import { describe, expect, it } from 'vitest'
import type { Result, Scan } from '../src/api'
import { acquired, agreement, number, spacing, state, times } from '../src/words'

const scan = (fields: Partial<Scan>) => ({ position: 0, progress: null, state: 'ready', ...fields }) as Scan
const result = (fields: Partial<Result>) => ({ consistency: null, missing: null, acquired: null, ...fields }) as Result

describe('states', () => {
  it.each([
    [scan({ state: 'looking' }), 'Reading …'],
    [scan({ state: 'queued', position: 2 }), 'Waits, number 2 in the queue'],
    [scan({ state: 'running' }), 'Upscaling …'],
    [scan({ state: 'running', progress: [3, 24] }), 'Upscaling: slice 3 of 24'],
    [scan({ state: 'running', progress: [24, 24] }), 'Writing …'],
    [scan({ state: 'refused' }), 'Cannot be used'],
  ])('says %#', (given, said) => expect(state(given)).toBe(said))
})

describe('agreement', () => {
  it('has a word for how far it goes', () => {
    const of = (psnr: number | null) => agreement(result({ consistency: { psnr, mean_ratio: 0.9995 } }))
    expect(of(52.34)).toBe("Made coarse again, the result agrees with the scan (52.3 dB). Its mean is 100.0 % of the scan's.")
    expect(of(35)).toContain('differs a little')
    expect(of(12)).toContain('look at the layer Consistency')
    expect(of(null)).toContain('the result is the scan')
  })
  it('says why it was not measured', () => {
    expect(agreement(result({ missing: 'labels are names' }))).toBe('Agreement with the scan is not measured: labels are names.')
    expect(agreement(result({}))).toBe('')
  })
})

it('names the acquired matrix and the window', () => {
  expect(acquired(result({}))).toBe('as stored')
  const found = { matrix: [192, 256], stored: [256, 256], window: null }
  expect(acquired(result({ acquired: found }))).toBe('192×256, stored as 256×256')
  expect(acquired(result({ acquired: { ...found, matrix: [256, 256], window: 'hann' } }))).toBe('as stored; hann window')
})

it('writes numbers', () => {
  expect(times([1, 0.93750001, 3])).toBe('1×0.938×3')
  expect(spacing({ shape: [1], spacing: null })).toBe('not known')
  expect([number(0), number(1.239), number(0.00012), number(-3e7), number(NaN)]).toEqual(['0', '1.24', '1.20e-4', '-3.00e+7', '–'])
})
