// Who is using the page: a name that is written beside what they do. Kept in the browser.

const KEY = 'quell.by';

class Person {
  name = $state(read());

  set(name: string): void {
    this.name = name.trim().slice(0, 64);
    try {
      localStorage.setItem(KEY, this.name);
    } catch {
      // A browser that keeps nothing asks again next time.
    }
  }
  get by(): string {
    return this.name || 'page';
  }
}

function read(): string {
  try {
    return localStorage.getItem(KEY) ?? '';
  } catch {
    return '';
  }
}

export const person = new Person();
