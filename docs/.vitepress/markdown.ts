import { renderMermaidSVG } from 'beautiful-mermaid';
import type { MarkdownOptions } from 'vitepress';
import { anchorOf, targetOf } from './links.ts';
import { repositoryUrl } from './repository.ts';

type MarkdownIt = Parameters<NonNullable<MarkdownOptions['config']>>[0];

/** The diagram is as wide as it must be, and its box scrolls on narrow screens. The site's own style colours it. */
function drawn(code: string): string {
  const svg = renderMermaidSVG(code, { bg: 'var(--vp-c-bg)', fg: 'var(--vp-c-text-1)', transparent: true });
  // The style of the library loads a font from elsewhere; theme/style.css has its colours.
  return svg.replace(/<style>[\s\S]*?<\/style>/g, '');
}

function config(md: MarkdownIt): void {
  const repository = repositoryUrl();
  md.core.ruler.push('links-of-the-repository', ({ tokens, env }) => {
    for (const token of tokens.flatMap(({ children }) => children ?? [])) {
      const attribute = token.type === 'link_open' ? 'href' : token.type === 'image' ? 'src' : undefined;
      const value = attribute && token.attrGet(attribute);
      if (!attribute || !value) continue;
      const target = targetOf(value, env.relativePath, repository);
      if (target.kind !== 'unreachable') token.attrSet(attribute, target.href);
      else token.attrs = [['data-file', target.path]];
    }
  });
  const link = md.renderer.rules.link_open;
  const close = md.renderer.rules.link_close;
  const inText: boolean[] = [];
  md.renderer.rules.link_open = (tokens, index, ...rest) => {
    const file = tokens[index]?.attrGet('data-file');
    inText.push(file !== null && file !== undefined);
    if (file) return `<span class="file" title="In the repository: ${md.utils.escapeHtml(file)}">`;
    return link?.(tokens, index, ...rest) ?? '';
  };
  md.renderer.rules.link_close = (tokens, index, options, env, self) =>
    inText.pop()
      ? '</span>'
      : (close?.(tokens, index, options, env, self) ?? self.renderToken(tokens, index, options));
  const fence = md.renderer.rules.fence;
  md.renderer.rules.fence = (tokens, index, ...rest) => {
    const token = tokens[index];
    if (token?.info.trim() !== 'mermaid') return fence?.(tokens, index, ...rest) ?? '';
    return `<div class="diagram" v-pre tabindex="0" role="group" aria-label="Diagram">${drawn(token.content)}</div>`;
  };
}

export const markdown: MarkdownOptions = { anchor: { slugify: anchorOf }, config };
