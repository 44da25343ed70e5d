// Elements without a framework.

type Child = Node | string | null | undefined | false

export function make<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Record<string, string | boolean | (() => void)> = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name, value)
    else if (value === true) element.setAttribute(name, '')
    else if (value !== false) element.setAttribute(name, value)
  }
  element.append(...children.filter((child): child is Node | string => Boolean(child)))
  return element
}

export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  return document.getElementById(id) as T
}

/** Radio buttons in a fieldset, after its legend. */
export function choice(fieldset: HTMLFieldSetElement, name: string, options: { value: string; label: string }[], chosen: string, act: (value: string) => void): void {
  const known = [...fieldset.querySelectorAll('input')].map((input) => input.value)
  if (known.join() !== options.map((option) => option.value).join()) {
    fieldset.querySelectorAll('label').forEach((label) => label.remove())
    for (const { value, label } of options) {
      const input = make('input', { type: 'radio', name, value })
      input.addEventListener('change', () => act(value))
      fieldset.append(make('label', {}, input, make('span', {}, label)))
    }
  }
  for (const input of fieldset.querySelectorAll('input')) input.checked = input.value === chosen
}
