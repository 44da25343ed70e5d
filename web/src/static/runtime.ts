// The network in ONNX Runtime Web: WebGPU where it answers as WebAssembly does, else WebAssembly.

import type { InferenceSession, Tensor } from 'onnxruntime-web/wasm'
import gpuGlue from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url'
import gpuCode from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url'
import cpuGlue from 'onnxruntime-web/ort-wasm-simd-threaded.mjs?url'
import cpuCode from 'onnxruntime-web/ort-wasm-simd-threaded.wasm?url'
import type { Image } from '../laws/image'
import { image } from '../laws/image'
import type { Network } from '../laws/slices'
import type { Telling } from '../laws/way'

const THREADS = 4
const SAME = 1e-4 // of two runtimes, where something bright is 1
const CHECKED = 48 // pixels along the sides of the image that both are given

export interface Weights { name: string; scale: 2 | 4; multiple: number; channels: number; telling: Telling | null }

type Runtime = typeof import('onnxruntime-web/wasm')

async function wasm(): Promise<Runtime> {
  const runtime = await import('onnxruntime-web/wasm')
  runtime.env.wasm.wasmPaths = { mjs: here(cpuGlue), wasm: here(cpuCode) }
  return onThreads(runtime)
}

async function webgpu(): Promise<Runtime | null> {
  const gpu = (navigator as { gpu?: { requestAdapter(): Promise<unknown> } }).gpu
  if (!gpu || !(await gpu.requestAdapter().catch(() => null))) return null
  const runtime = (await import('onnxruntime-web/webgpu')) as Runtime
  runtime.env.wasm.wasmPaths = { mjs: here(gpuGlue), wasm: here(gpuCode) }
  return onThreads(runtime)
}

const here = (url: string) => new URL(url, import.meta.url).href

function onThreads(runtime: Runtime): Runtime {
  runtime.env.wasm.numThreads = threads()
  return runtime
}

/** Threads share memory, which browsers allow where the site's headers isolate it from others. */
const threads = () => (globalThis.crossOriginIsolated ? Math.min(THREADS, navigator.hardwareConcurrency || 1) : 1)

class Running implements Network {
  private constructor(readonly scale: number, readonly multiple: number, private runtime: Runtime, private session: InferenceSession) {}

  static async of(weights: Weights, file: ArrayBuffer, runtime: Runtime, provider: string): Promise<Running> {
    const session = await runtime.InferenceSession.create(new Uint8Array(file), { executionProviders: [provider], graphOptimizationLevel: 'all' })
    return new Running(weights.scale, weights.multiple, runtime, session)
  }

  run = async (slice: Image): Promise<Image> => {
    const given = new this.runtime.Tensor('float32', slice.data, [1, 1, slice.height, slice.width])
    const intensity = new this.runtime.Tensor('float32', new Float32Array([1]), [1, 1, 1, 1])
    const answer = (await this.session.run({ image: given, intensity })).enlarged as Tensor
    const data = ((await answer.getData()) as Float32Array).slice()
    answer.dispose()
    return image(slice.height * this.scale, slice.width * this.scale, data)
  }

  end = () => this.session.release()
}

/** What computes, in words. */
export const words = { gpu: 'WebGPU', cpu: () => `WebAssembly, ${threads() === 1 ? '1 thread' : `${threads()} threads`}` }

/** A network, and what computes it. */
export async function open(weights: Weights, url: string): Promise<{ network: Network; by: string }> {
  const answer = await fetch(url)
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`)
  const file = await answer.arrayBuffer()
  const plain = await Running.of(weights, file, await wasm(), 'wasm')
  try {
    const runtime = await webgpu()
    if (runtime) {
      const fast = await Running.of(weights, file, runtime, 'webgpu')
      if (await alike(plain, fast)) {
        await plain.end()
        return { network: fast, by: words.gpu }
      }
      await fast.end()
    }
  } catch { /* a GPU that fails is none */ }
  return { network: plain, by: words.cpu() }
}

async function alike(one: Running, other: Running): Promise<boolean> {
  const given = image(CHECKED, CHECKED)
  for (let i = 0; i < given.data.length; i++) given.data[i] = 0.5 + 0.4 * Math.sin(0.31 * (i % CHECKED)) * Math.cos(0.23 * Math.floor(i / CHECKED))
  const [a, b] = [await one.run(given), await other.run(given)]
  return a.data.every((value, i) => Math.abs(value - b.data[i]!) < SAME)
}
