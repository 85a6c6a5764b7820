// Lists the versions of the site beside the one of this page. Without the list the page just says its version.
{
  const label = document.querySelector(".versions");
  const { site, page, version } = label.dataset;

  const linkTo = (versions, index) => {
    const { version, pages } = versions[index];
    const link = document.createElement("a");
    link.href = site + (index ? `${version}/` : "") + (pages.includes(page) ? page : "");
    link.textContent = version;
    return link;
  };

  const show = (versions) => {
    const menu = document.createElement("details");
    const summary = document.createElement("summary");
    menu.className = label.className;
    summary.textContent = label.textContent;
    menu.append(summary, ...versions.map((_, index) => linkTo(versions, index)));
    label.replaceWith(menu);
    const newest = versions[0].version;
    if (newest === version || newest === "main") return;
    const notice = document.createElement("p");
    const what = version === "main" ? "main, which is not released" : `version ${version}`;
    notice.className = "admonition warning versions-notice";
    notice.append(`This page is of ${what}. The newest release is `, linkTo(versions, 0), ".");
    document.querySelector("article").prepend(notice);
  };

  fetch(`${site}versions.json`).then((answer) => answer.json()).then(show).catch(() => {});
}
