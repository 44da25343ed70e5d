// K-space windows; see iconet/physics/window.py.

import { clamp } from './image'

export type Shape = (radius: number) => number
export type Name = 'none' | 'hamming' | 'hann' | 'fermi' | 'tukey'
export interface Window { name: Name; radial: boolean }

const raised = (base: number, x: number) => base + (1 - base) * Math.cos(Math.PI * clamp(x, 0, 1))

export const WINDOWS: Record<Name, Shape> = {
  none: () => 1,
  hamming: (x) => raised(0.54, x),
  hann: (x) => raised(0.5, x),
  fermi: (x) => 1 / (1 + Math.exp((x - 0.9) / 0.05)),
  tukey: (x) => raised(0.5, 2 * x - 1),
}

export const wordOf = ({ name, radial }: Window) => (name === 'none' ? (radial ? 'elliptical' : 'none') : radial ? `radial-${name}` : name)

/** Gain of a window, 1 in the middle; distances are 1 at the edge of the band. */
export function gainAt(window: Window | null, y: number, x: number): number {
  if (!window) return 1
  const shape = WINDOWS[window.name]
  if (!window.radial) return (shape(y) * shape(x)) / shape(0) ** 2
  const radius = Math.hypot(y, x)
  return radius <= 1 ? shape(radius) / shape(0) : 0
}
