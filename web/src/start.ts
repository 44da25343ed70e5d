// What is small comes first, so that no file is lost while the rest loads.

import './early'
import { byId } from './dom'

import('./main').catch((error: unknown) => {
  byId('sending').hidden = true
  byId('trouble').hidden = false
  byId('trouble').textContent = `The page could not start: ${error instanceof Error ? error.message : String(error)}. Load it again, or use another browser.`
  console.error(error)
})
