// A slice: rows of pixels, in float32 as Python has them.

export interface Image { data: Float32Array; height: number; width: number }
export type Size = [number, number]

export const image = (height: number, width: number, data: Float32Array = new Float32Array(height * width)): Image => ({ data, height, width })
export const sizeOf = (slice: Image): Size => [slice.height, slice.width]

export function transposed({ data, height, width }: Image): Image {
  const turned = new Float32Array(data.length)
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) turned[x * height + y] = data[y * width + x]!
  return image(width, height, turned)
}

export function extremes(values: ArrayLike<number>): [number, number] {
  let least = Infinity
  let most = -Infinity
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    if (value < least) least = value
    if (value > most) most = value
  }
  return [least, most]
}

export function mean(values: ArrayLike<number>): number {
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += values[i]!
  return sum / values.length
}

/** To the nearest whole number, halves to even ones, as Python rounds. */
export function rint(value: number): number {
  const floor = Math.floor(value)
  const over = value - floor
  if (over !== 0.5) return over < 0.5 ? floor : floor + 1
  return floor % 2 === 0 ? floor : floor + 1
}

export const clamp = (value: number, least: number, most: number) => Math.min(Math.max(value, least), most)
