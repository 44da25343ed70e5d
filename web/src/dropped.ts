// The files of a drop, with their places below the folders that were dropped.

export interface Dropped { name: string; file: File }

const HIDDEN = /(^|\/)(\.|Thumbs\.db$|desktop\.ini$)/

/** Leaves out what systems put beside files; a name is never empty. */
export const wanted = (name: string) => name !== '' && !HIDDEN.test(name)

export function ofInput(input: HTMLInputElement): Dropped[] {
  return Array.from(input.files ?? [], (file) => ({ name: file.webkitRelativePath || file.name, file })).filter(({ name }) => wanted(name))
}

export async function ofTransfer(transfer: DataTransfer): Promise<Dropped[]> {
  // All entries first: the list is empty once this function has waited.
  const entries = Array.from(transfer.items, (item) => item.webkitGetAsEntry()).filter((entry) => entry !== null)
  if (!entries.length) return Array.from(transfer.files, (file) => ({ name: file.name, file }))
  return (await Promise.all(entries.map(below))).flat().filter(({ name }) => wanted(name))
}

async function below(entry: FileSystemEntry): Promise<Dropped[]> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject))
    return [{ name: entry.fullPath.replace(/^\//, ''), file }]
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader()
  const found: FileSystemEntry[] = []
  for (;;) {
    // Browsers give a hundred at a time.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject))
    if (!some.length) break
    found.push(...some)
  }
  return (await Promise.all(found.map(below))).flat()
}
