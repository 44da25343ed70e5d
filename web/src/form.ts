// How to upscale: a form whose answers are the options of the command line.

import type { Offered, Options, Scan } from './api'
import { make } from './dom'

const AXES = { '': 'in plane', k: 'along k', i: 'along i', j: 'along j', ij: 'along i and j', ijk: 'along all three' }
const READING = ['series', 'volume', 'allow_missing', 'kind']

export class Form {
  private of = ''
  private busy = false

  constructor(private form: HTMLFormElement, private offered: Offered, private upscale: (options: Options) => void, private look: (options: Options) => void) {
    form.addEventListener('submit', (event) => {
      event.preventDefault()
      this.upscale(this.options())
    })
    form.addEventListener('change', (event) => {
      const name = (event.target as HTMLInputElement).name
      if (READING.includes(name)) this.look(this.reading())
      this.hint()
    })
  }

  show(scan: Scan | null): void {
    this.form.hidden = !scan || scan.state === 'looking' && this.of !== scan.id
    if (!scan || this.form.hidden) return
    const shape = `${scan.id}/${scan.series.map((one) => one.uid).join()}/${scan.geometry?.volumes ?? 0}`
    if (this.of !== scan.id || this.form.dataset.shape !== shape) {
      this.fill(scan, this.of === scan.id ? this.all() : {})
      this.form.dataset.shape = shape
    }
    this.of = scan.id
    this.busy = ['looking', 'queued', 'running'].includes(scan.state)
    this.form.querySelectorAll<HTMLInputElement>('select, input').forEach((input) => { input.disabled = this.busy })
    const button = this.form.querySelector<HTMLButtonElement>('button[type=submit]')!
    button.disabled = !['ready', 'done'].includes(scan.state)
    button.textContent = scan.result ? 'Upscale again' : 'Upscale'
    this.hint()
  }

  private fill(scan: Scan, before: Record<string, string>): void {
    const usable = scan.series.filter((one) => !one.refused)
    const volumes = scan.geometry?.volumes ?? 1
    this.form.replaceChildren(make('div', {},
      make('h3', {}, 'Upscale'),
      usable.length > 1 && this.select('series', 'Series', [['', 'choose one'], ...usable.map((one): [string, string] => [one.uid, one.title])]),
      this.select('model', 'Model', [['', 'as fits the scan'], ...this.offered.models.map((one): [string, string] => [one.name, one.name])], 'model-hint'),
      make('p', { id: 'model-hint', class: 'hint' }),
      this.select('scale', 'Scale', [['', '2 times'], ['4', '4 times']]),
      this.select('axes', 'Finer', Object.entries(AXES)),
      make('label', { class: 'tick' }, make('input', { type: 'checkbox', name: 'isotropic' }), ' Isotropic: slices as thin as their pixels'),
      make('label', { class: 'tick' }, make('input', { type: 'checkbox', name: 'uncertainty' }), ' Show where the network guessed'),
      make('details', {},
        make('summary', {}, 'More'),
        this.select('kind', 'Kind of image', [['', 'as the file says'], ...this.offered.kinds.map((kind): [string, string] => [kind, kind])]),
        this.select('plane', 'Plane of the slices', [['', 'found'], ...['axial', 'coronal', 'sagittal', 'i', 'j', 'k'].map((p): [string, string] => [p, p])]),
        this.text('spacing', 'Spacing in mm', 'such as 0.5x0.5x1.0'),
        this.text('acquired', 'Acquired matrix', 'found; or off, 192x256'),
        this.select('window', 'Window over k-space', [['', 'found'], ...['none', 'hamming', 'hann', 'fermi', 'tukey', 'elliptical'].map((w): [string, string] => [w, w])]),
        volumes > 1 && this.text('volume', 'One volume', `1 to ${volumes}; all`),
        make('label', { class: 'tick' }, make('input', { type: 'checkbox', name: 'best' }), ' Best: the mean of eight answers, up to 8 times as long'),
        make('label', { class: 'tick' }, make('input', { type: 'checkbox', name: 'allow_missing' }), ' Leave out DICOM files that cannot be read'),
        make('label', { class: 'tick' }, make('input', { type: 'checkbox', name: 'again' }), ' Also what iconet made already'),
      ),
      make('button', { type: 'submit', class: 'main' }, 'Upscale'),
    ))
    this.leaveOut()
    this.form.querySelectorAll<HTMLInputElement>('select, input').forEach((input) => {
      const value = before[input.name]
      if (value === undefined) return
      if (input.type === 'checkbox') input.checked = value === 'on'
      else input.value = value
    })
    const series = this.form.querySelector<HTMLSelectElement>('[name=series]')
    if (series && scan.chosen) series.value = scan.chosen
  }

  /** Options that this page does not have. */
  private leaveOut(): void {
    const { only } = this.offered
    if (!only) return
    for (const input of this.form.querySelectorAll<HTMLInputElement>('select, input')) if (!only.includes(input.name)) input.closest('label')!.remove()
    for (const more of this.form.querySelectorAll('details')) if (!more.querySelector('select, input')) more.remove()
  }

  private hint(): void {
    const name = this.form.querySelector<HTMLSelectElement>('[name=model]')?.value
    const hint = this.form.querySelector('#model-hint')
    if (hint) hint.textContent = this.offered.models.find((one) => one.name === name)?.purpose ?? ''
    // A named model has its own scale; a spacing is reached by as many as it takes.
    const scale = this.field('scale')
    if (scale) scale.disabled = this.busy || Boolean(name) || Boolean(this.field('isotropic')?.checked) || Boolean(this.field('spacing')?.value)
  }

  private field(name: string): HTMLInputElement | null {
    return this.form.querySelector(`[name=${name}]`)
  }

  private all(): Record<string, string> {
    return Object.fromEntries([...new FormData(this.form)].map(([name, value]) => [name, String(value)]))
  }

  /** What was chosen; what is empty is left to the program. */
  options(): Options {
    return options(this.all())
  }

  private reading(): Options {
    return Object.fromEntries(Object.entries(this.options()).filter(([name]) => READING.includes(name)))
  }

  private select(name: string, label: string, values: [string, string][], described = ''): HTMLElement {
    const select = make('select', { name, ...(described && { 'aria-describedby': described }) }, ...values.map(([value, text]) => make('option', { value }, text)))
    return make('label', { class: 'field' }, make('span', {}, label), select)
  }

  private text(name: string, label: string, placeholder: string): HTMLElement {
    return make('label', { class: 'field' }, make('span', {}, label), make('input', { name, placeholder, autocomplete: 'off' }))
  }
}

const WHOLE = ['scale', 'volume']
const TICKS = ['isotropic', 'uncertainty', 'best', 'allow_missing', 'again']

export function options(given: Record<string, string>): Options {
  const found: Options = {}
  for (const [name, value] of Object.entries(given)) {
    const text = value.trim()
    if (text === '') continue
    if (TICKS.includes(name)) found[name] = true
    else if (WHOLE.includes(name) && /^\d+$/.test(text)) found[name] = Number(text)
    else found[name] = text
  }
  return found
}
