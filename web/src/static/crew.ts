// A worker that is asked, and that may be stopped and begun again.

import type { Act } from './worker'

export class Refused extends Error {}
/** It was stopped before it answered. */
export class Stopped extends Error {}

interface Waiting { done(found: unknown): void; failed(error: Error): void; progress?: (done: number, total: number) => void }

export class Crew {
  private worker: Worker | null = null
  private waiting = new Map<number, Waiting>()
  private last = 0

  ask<T>(act: Act, given: unknown[], progress?: (done: number, total: number) => void): Promise<T> {
    const worker = (this.worker ??= this.begun())
    const number = ++this.last
    return new Promise<T>((done, failed) => {
      this.waiting.set(number, { done: done as (found: unknown) => void, failed, progress })
      worker.postMessage({ number, act, given })
    })
  }

  stop(error: Error = new Stopped('Cancelled.')): void {
    this.worker?.terminate()
    this.worker = null
    for (const { failed } of this.waiting.values()) failed(error)
    this.waiting.clear()
  }

  private begun(): Worker {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' })
    worker.addEventListener('message', ({ data }) => {
      const one = this.waiting.get(data.number)
      if (!one) return
      if (data.progress) return one.progress?.(...(data.progress as [number, number]))
      this.waiting.delete(data.number)
      if (data.line) one.failed(new Refused(data.line))
      else if (data.error) one.failed(new Error(data.error))
      else one.done(data.found)
    })
    worker.addEventListener('error', (event) => this.stop(new Refused(`this browser could not go on: ${event.message || 'it has too little memory, or is too old'}`)))
    return worker
  }
}
