// Fourier transforms of any length, in double precision.

interface Plan { size: number; transform(re: Float64Array, im: Float64Array): void }

const plans = new Map<number, Plan>()

function planOf(size: number): Plan {
  let plan = plans.get(size)
  if (!plan) plans.set(size, (plan = (size & (size - 1)) === 0 ? powerOfTwo(size) : anyLength(size)))
  return plan
}

function powerOfTwo(size: number): Plan {
  const cos = new Float64Array(size / 2 || 1)
  const sin = new Float64Array(size / 2 || 1)
  for (let i = 0; i < size / 2; i++) {
    cos[i] = Math.cos((2 * Math.PI * i) / size)
    sin[i] = -Math.sin((2 * Math.PI * i) / size)
  }
  const order = new Uint32Array(size)
  for (let i = 1, bits = Math.log2(size); i < size; i++) order[i] = (order[i >> 1]! >> 1) | ((i & 1) << (bits - 1))
  return {
    size,
    transform(re, im) {
      for (let i = 0; i < size; i++) {
        const j = order[i]!
        if (j <= i) continue
        const [a, b] = [re[i]!, im[i]!]
        re[i] = re[j]!
        im[i] = im[j]!
        re[j] = a
        im[j] = b
      }
      for (let half = 1; half < size; half *= 2) {
        const step = size / (2 * half)
        for (let start = 0; start < size; start += 2 * half) {
          for (let k = 0, turn = 0; k < half; k++, turn += step) {
            const i = start + k
            const j = i + half
            const [c, s] = [cos[turn]!, sin[turn]!]
            const x = re[j]! * c - im[j]! * s
            const y = re[j]! * s + im[j]! * c
            re[j] = re[i]! - x
            im[j] = im[i]! - y
            re[i] = re[i]! + x
            im[i] = im[i]! + y
          }
        }
      }
    },
  }
}

/** As a convolution with a chirp (Bluestein, IEEE Trans. Audio and Electroacoustics 18(4), 1970). */
function anyLength(size: number): Plan {
  const length = 2 ** Math.ceil(Math.log2(2 * size - 1))
  const inner = planOf(length)
  const cos = new Float64Array(size)
  const sin = new Float64Array(size)
  for (let i = 0; i < size; i++) {
    const angle = (Math.PI * ((i * i) % (2 * size))) / size
    cos[i] = Math.cos(angle)
    sin[i] = Math.sin(angle)
  }
  const kernelRe = new Float64Array(length)
  const kernelIm = new Float64Array(length)
  for (let i = 0; i < size; i++) {
    kernelRe[i] = kernelRe[(length - i) % length] = cos[i]!
    kernelIm[i] = kernelIm[(length - i) % length] = sin[i]!
  }
  inner.transform(kernelRe, kernelIm)
  const a = new Float64Array(length)
  const b = new Float64Array(length)
  return {
    size,
    transform(re, im) {
      a.fill(0)
      b.fill(0)
      for (let i = 0; i < size; i++) {
        a[i] = re[i]! * cos[i]! + im[i]! * sin[i]!
        b[i] = im[i]! * cos[i]! - re[i]! * sin[i]!
      }
      inner.transform(a, b)
      for (let i = 0; i < length; i++) {
        const x = a[i]! * kernelRe[i]! - b[i]! * kernelIm[i]!
        // Conjugated, so that a second transform is the inverse one.
        b[i] = -(a[i]! * kernelIm[i]! + b[i]! * kernelRe[i]!)
        a[i] = x
      }
      inner.transform(a, b)
      for (let i = 0; i < size; i++) {
        const [x, y] = [a[i]! / length, -b[i]! / length]
        re[i] = x * cos[i]! + y * sin[i]!
        im[i] = y * cos[i]! - x * sin[i]!
      }
    },
  }
}

/** The sum over n of x[n] exp(-2 pi i k n / N), in place. */
export function forward(re: Float64Array, im: Float64Array): void {
  planOf(re.length).transform(re, im)
}

/** Its inverse, in place. */
export function inverse(re: Float64Array, im: Float64Array): void {
  const plan = planOf(re.length)
  plan.transform(im, re)
  for (let i = 0; i < re.length; i++) {
    re[i] = re[i]! / plan.size
    im[i] = im[i]! / plan.size
  }
}

export interface Spectrum { re: Float64Array; im: Float64Array; height: number; width: number }

/** Of rows and columns, DC at (0, 0). */
export function spectrumOf(data: ArrayLike<number>, height: number, width: number): Spectrum {
  const found = { re: Float64Array.from(data), im: new Float64Array(height * width), height, width }
  alongBoth(found, forward)
  return found
}

/** The real part of the image of a spectrum, which is used up. */
export function imageOf(spectrum: Spectrum): Float32Array {
  alongBoth(spectrum, inverse)
  return Float32Array.from(spectrum.re)
}

function alongBoth({ re, im, height, width }: Spectrum, transform: typeof forward): void {
  for (let y = 0; y < height; y++) transform(re.subarray(y * width, (y + 1) * width), im.subarray(y * width, (y + 1) * width))
  const a = new Float64Array(height)
  const b = new Float64Array(height)
  for (let x = 0; x < width; x++) {
    for (let y = 0, i = x; y < height; y++, i += width) {
      a[y] = re[i]!
      b[y] = im[i]!
    }
    transform(a, b)
    for (let y = 0, i = x; y < height; y++, i += width) {
      re[i] = a[y]!
      im[i] = b[y]!
    }
  }
}

/** The frequency of a place in a spectrum, with its sign. */
export const frequencyAt = (place: number, size: number) => (place < (size + 1) >> 1 ? place : place - size)
