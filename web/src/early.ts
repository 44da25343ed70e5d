// Files are taken from the first moment on; what comes before the rest of the page waits for it.

import { byId } from './dom'
import type { Dropped } from './dropped'
import { ofInput, ofTransfer } from './dropped'

type Act = (files: Dropped[]) => void

const waiting: Dropped[][] = []
let act: Act = (files) => {
  waiting.push(files)
  byId('sending').hidden = false
  byId('sending').textContent = 'The page is still loading. Your files wait.'
}
let failed: (error: unknown) => void = console.error

const come = (files: Dropped[]) => { if (files.length) act(files) }

/** From now on, and for what came before. */
export function onFiles(does: Act, wrong: (error: unknown) => void): void {
  act = does
  failed = wrong
  byId('sending').hidden = true
  waiting.splice(0).forEach(does)
}

for (const event of ['dragenter', 'dragover']) {
  addEventListener(event, (e) => {
    e.preventDefault()
    document.body.classList.add('over')
  })
}
addEventListener('dragleave', (e) => {
  if (!e.relatedTarget) document.body.classList.remove('over')
})
addEventListener('drop', (e) => {
  e.preventDefault()
  document.body.classList.remove('over')
  if (e.dataTransfer) ofTransfer(e.dataTransfer).then(come, (error) => failed(error))
})
for (const id of ['files', 'folder']) {
  const input = byId<HTMLInputElement>(id)
  const take = () => {
    const files = ofInput(input)
    input.value = '' // the same may be chosen again
    come(files)
  }
  input.addEventListener('change', take)
  take() // chosen before this script ran
}
