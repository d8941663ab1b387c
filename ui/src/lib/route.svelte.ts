// The address bar as state: which page, and what its filters are.

class Route {
  path = $state(location.pathname);
  query = $state(new URLSearchParams(location.search));
  private arriving = false;

  constructor() {
    addEventListener('popstate', () => this.read());
  }

  /** For the heading of a page: after a navigation the focus goes to it as soon as it is there, and so
   *  it is read out. The first page of a visit is read out by the browser itself. */
  heading = (element: HTMLElement): void => {
    if (this.arriving) element.focus({ preventScroll: true });
    this.arriving = false;
  };

  private read(): void {
    this.arriving ||= location.pathname !== this.path;
    this.path = location.pathname;
    this.query = new URLSearchParams(location.search);
  }

  go(address: string): void {
    history.pushState(null, '', address);
    this.read();
    scrollTo(0, 0);
  }

  /** Changes filters in place: they are part of the address, not of the history. */
  filter(changes: Record<string, string>): void {
    const query = new URLSearchParams(location.search);
    for (const [name, value] of Object.entries(changes)) {
      if (value === '') query.delete(name);
      else query.set(name, value);
    }
    const text = query.toString();
    history.replaceState(null, '', location.pathname + (text ? `?${text}` : ''));
    this.read();
  }
}

export const route = new Route();

/** Plain clicks on links to our own pages stay in the page. */
export function followLinks(event: MouseEvent): void {
  const link = (event.target as Element | null)?.closest('a');
  if (!link || event.defaultPrevented || event.button !== 0 || link.target) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (link.origin !== location.origin || link.hasAttribute('download')) return;
  if (link.hash && link.pathname === location.pathname) return;
  event.preventDefault();
  route.go(link.pathname + link.search);
}
