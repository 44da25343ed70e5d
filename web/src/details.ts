// What is known of a scan and of its result, in words and numbers.

import type { Scan } from './api'
import { fileOf } from './api'
import { make } from './dom'
import { acquired, agreement, spacing, times } from './words'

const DOWNLOADS: Record<string, string> = { image: 'Image', dicom: 'DICOM series (zip)', lower: 'Lower bound', upper: 'Upper bound', residual: 'Difference from the scan, in noise', report: 'Report (JSON)' }

/** Sizes may go on in a second line, after a ×. */
const breakable = (text: string) => text.split(/(?<=×)/).flatMap((part) => [part, make('wbr')])

export function facts(scan: Scan): Node[] {
  const parts: Node[] = []
  const { geometry, kind, result } = scan
  if (kind) parts.push(make('p', { class: 'line' }, `Taken for ${kind.noun} (${kind.why})${kind.unit ? `, in ${kind.unit}` : ''}.`))
  if (geometry) {
    const row = (name: string, before: string, after?: string) => make('tr', {}, make('th', { scope: 'row' }, name), make('td', {}, ...breakable(before)), result ? make('td', {}, ...breakable(after ?? '')) : null)
    const volumes = geometry.volumes ?? 1
    parts.push(make('table', {},
      make('caption', {}, 'Geometry'),
      make('thead', {}, make('tr', {}, make('td', {}), make('th', { scope: 'col' }, 'Scan'), result ? make('th', { scope: 'col' }, 'Result') : null)),
      make('tbody', {},
        row('Matrix', times(geometry.shape), result ? times(result.geometry.shape.slice(0, 3)) : ''),
        row('Spacing', spacing(geometry), result ? spacing(result.geometry) : ''),
        result ? row('Acquired matrix', acquired(result), '') : null,
        row('Axes', geometry.axes ?? 'not known', result?.geometry.orientation ?? 'not known'),
        volumes > 1 ? row('Volumes', String(volumes), String(volumes)) : null,
      ),
    ))
  }
  return parts
}

export function findings(scan: Scan): Node[] {
  const { result } = scan
  const said = [...new Set([...scan.remarks, ...(result ? result.remarks : [])])]
  if (scan.line && scan.line !== result?.line && scan.state !== 'running' && scan.state !== 'queued') said.unshift(scan.line)
  const parts: Node[] = []
  const lines = [...said, ...(result ? [agreement(result)] : [])].filter(Boolean)
  if (lines.length) parts.push(make('h3', {}, 'Findings'), make('ul', { class: scan.state === 'refused' ? 'findings wrong' : 'findings' }, ...lines.map((line) => make('li', {}, line))))
  if (!result) return parts
  const seconds = Object.values(result.seconds).reduce((sum, s) => sum + s, 0)
  parts.push(
    make('p', { class: 'line' }, result.models.length ? `Made by ${result.models.join(' and ')} in ${seconds.toFixed(1)} s.` : `Made without a model in ${seconds.toFixed(1)} s.`),
    make('h3', {}, 'Download'),
    make('ul', { class: 'files' }, ...result.files.map(({ key, name }) => make('li', {}, make('a', { href: fileOf(scan, key), download: name }, DOWNLOADS[key] ?? name), make('span', { class: 'hint' }, ` ${name}`)))),
    make('p', { class: 'hint' }, result.notice),
  )
  return parts
}
