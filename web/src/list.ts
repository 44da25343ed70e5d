// The scans, each with what becomes of it.

import type { Scan } from './api'
import { make } from './dom'
import { state } from './words'

interface Acts { choose(scan: Scan): void; cancel(scan: Scan): void; remove(scan: Scan): void }

export class List {
  private rows = new Map<string, { row: HTMLLIElement; name: HTMLButtonElement; state: HTMLElement; bar: HTMLProgressElement; cancel: HTMLButtonElement; scan: Scan }>()

  constructor(private list: HTMLUListElement, private acts: Acts) {}

  show(scan: Scan): void {
    const known = this.rows.get(scan.id) ?? this.add(scan)
    known.scan = scan
    known.state.textContent = state(scan)
    known.state.className = scan.state === 'refused' ? 'state wrong' : 'state'
    known.bar.hidden = scan.state !== 'running'
    if (scan.progress) {
      known.bar.max = scan.progress[1]
      known.bar.value = scan.progress[0]
    } else known.bar.removeAttribute('value')
    known.cancel.hidden = !['running', 'queued'].includes(scan.state)
  }

  remove(id: string): void {
    const known = this.rows.get(id)
    if (!known) return
    // The focus goes to what is next, not to the top of the page.
    if (known.row.contains(document.activeElement)) {
      const other = (known.row.nextElementSibling ?? known.row.previousElementSibling)?.querySelector('button')
      ;(other ?? document.getElementById('files'))?.focus()
    }
    known.row.remove()
    this.rows.delete(id)
  }

  mark(id: string | null): void {
    for (const [key, { row, name }] of this.rows) {
      row.className = key === id ? 'chosen' : ''
      name.setAttribute('aria-current', String(key === id))
    }
  }

  private add(scan: Scan) {
    const current = () => this.rows.get(scan.id)!.scan
    const name = make('button', { type: 'button', class: 'name', click: () => this.acts.choose(current()) }, scan.name)
    const cancel = make('button', { type: 'button', 'aria-label': `Cancel ${scan.name}`, click: () => this.acts.cancel(current()) }, 'Cancel')
    const remove = make('button', { type: 'button', 'aria-label': `Remove ${scan.name}`, click: () => this.acts.remove(current()) }, 'Remove')
    const says = make('span', { class: 'state' })
    const bar = make('progress', { 'aria-label': `Progress of ${scan.name}` })
    const row = make('li', {}, name, says, bar, make('span', { class: 'row' }, cancel, remove))
    this.list.append(row)
    const known = { row, name, state: says, bar, cancel, scan }
    this.rows.set(scan.id, known)
    return known
  }
}
