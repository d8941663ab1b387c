// The token that commands carry when the daemon asks for one. Kept until the tab is closed.

const KEY = 'quell.token';

class Token {
  /** The daemon said no to the last command: why. null: nothing is asked. */
  asked = $state<string | null>(null);
  private answer: ((text: string | null) => void) | null = null;
  private kept = read();

  get headers(): Record<string, string> {
    return this.kept ? { Authorization: `Bearer ${this.kept}` } : {};
  }
  /** Shows the dialog; null when it is given up. */
  ask(why: string): Promise<string | null> {
    this.answer?.(null);
    this.asked = why;
    return new Promise((resolve) => (this.answer = resolve));
  }
  give(text: string | null): void {
    if (text !== null) this.keep(text.trim());
    this.asked = null;
    this.answer?.(text);
    this.answer = null;
  }
  private keep(text: string): void {
    this.kept = text;
    try {
      sessionStorage.setItem(KEY, text);
    } catch {
      // A browser that keeps nothing asks again after the next load.
    }
  }
}

function read(): string {
  try {
    return sessionStorage.getItem(KEY) ?? '';
  } catch {
    return '';
  }
}

export const token = new Token();
