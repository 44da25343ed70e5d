import { describe, expect, it } from 'vitest'
import { wanted } from '../src/dropped'
import { options } from '../src/form'
import { histogram } from '../src/histogram'
import { clip, percentAt } from '../src/swipe'

describe('the divider', () => {
  it('cuts the upper picture to the left of it', () => {
    expect([clip(0), clip(37.5), clip(-1), clip(140)]).toEqual(['inset(0 0 0 0%)', 'inset(0 0 0 37.5%)', 'inset(0 0 0 0%)', 'inset(0 0 0 100%)'])
  })
  it('follows a pointer, and stays within the picture', () => {
    expect([percentAt(150, 100, 200), percentAt(0, 100, 200), percentAt(999, 100, 200), percentAt(1, 0, 0)]).toEqual([25, 0, 100, 50])
  })
})

describe('options', () => {
  it('leaves what is empty to the program', () => {
    expect(options({ model: '', scale: '4', axes: ' k ', isotropic: 'on', spacing: '', volume: '2' })).toEqual({ scale: 4, axes: 'k', isotropic: true, volume: 2 })
  })
  it('sends what is no number as it is, so that the program says so', () => {
    expect(options({ volume: 'two' })).toEqual({ volume: 'two' })
  })
})

describe('the histogram', () => {
  it('counts values without the background, which is the least', () => {
    const values = Float32Array.from([...new Array(500).fill(0), ...Array.from({ length: 100 }, (_, i) => i + 1)])
    const found = histogram(values, (v) => v, 10)!
    expect([found.low, found.high]).toEqual([1, 100])
    expect(found.counts.reduce((sum, n) => sum + n)).toBeCloseTo(1)
    expect(Math.max(...found.counts)).toBeLessThan(0.12)
  })
  it('scales, and passes over what is no number', () => {
    const found = histogram([0, NaN, 1, 2, Infinity], (v) => v * 10 + 5)!
    expect([found.low, found.high]).toEqual([15, 25])
  })
  it('is none where all values are one', () => {
    expect([histogram([]), histogram([3, 3]), histogram([1, 2, 2])]).toEqual([null, null, null])
  })
})

it('leaves out what systems put beside files', () => {
  const names = ['a/IM1', 'a/.DS_Store', '.hidden', 'a/Thumbs.db', '', 'a/b.nii.gz', 'a/.git/x']
  expect(names.filter(wanted)).toEqual(['a/IM1', 'a/b.nii.gz'])
})
