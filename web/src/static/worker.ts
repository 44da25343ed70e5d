// A worker: one thing at a time, each answered by its number.

import { Refusal } from '../laws/refusal'
import { layer, look, speed, upscaled } from './work'

const acts = {
  look, speed, layer,
  upscaled: (...given: [...Parameters<typeof upscaled> extends [infer A, infer B, infer C, infer D, unknown] ? [A, B, C, D] : never, number]) =>
    upscaled(given[0], given[1], given[2], given[3], (done, total) => postMessage({ number: given[4], progress: [done, total] })),
}
export type Act = keyof typeof acts

addEventListener('message', async ({ data: { number, act, given } }: MessageEvent) => {
  try {
    const all: unknown[] = act === 'upscaled' ? [...given, number] : given
    const found = await (acts[act as Act] as (...values: unknown[]) => Promise<unknown>)(...all)
    postMessage({ number, found })
  } catch (error) {
    const line = error instanceof Refusal ? error.message : error instanceof RangeError ? 'the memory of this browser is too small: close other tabs, or use iconet upscale' : null
    postMessage({ number, line, error: line ? null : String(error) })
  }
})
