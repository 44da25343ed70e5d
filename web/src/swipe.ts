// The divider: right of it the right picture is shown, left of it the left one.

/** What of the upper picture is cut away. */
export const clip = (percent: number) => `inset(0 0 0 ${Math.min(100, Math.max(0, percent))}%)`

/** Where a pointer is, in percent of the width. */
export function percentAt(x: number, left: number, width: number): number {
  return width > 0 ? Math.min(100, Math.max(0, ((x - left) / width) * 100)) : 50
}

export class Swipe {
  constructor(
    private views: HTMLElement,
    private upper: HTMLElement,
    private bar: HTMLElement,
    private slider: HTMLInputElement,
    private output: HTMLOutputElement,
  ) {
    slider.addEventListener('input', () => this.draw())
    bar.addEventListener('pointerdown', (event) => {
      bar.setPointerCapture(event.pointerId)
      event.preventDefault()
    })
    bar.addEventListener('pointermove', (event) => {
      if (!bar.hasPointerCapture(event.pointerId)) return
      const frame = upper.getBoundingClientRect()
      slider.value = String(percentAt(event.clientX, frame.left, frame.width))
      this.draw()
    })
  }

  draw(): void {
    const on = this.views.className === 'swipe'
    const percent = Number(this.slider.value)
    this.upper.style.clipPath = on ? clip(percent) : ''
    this.bar.style.left = `${percent}%`
    this.output.textContent = `${Math.round(percent)} %`
    this.slider.setAttribute('aria-valuetext', `${Math.round(percent)} % left picture`)
  }
}
