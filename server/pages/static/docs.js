"use strict";

const page = document.getElementById("swagger-ui");

// Swagger UI is dark where the page says so, and the page follows the system.
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

// The headers of every answer are described once, at the top; below each answer stand only those of its own.
const ownHeaders = ({ React, specSelectors }) => ({
  wrapComponents: {
    headers: (Headers) => (properties) => {
      const responses = specSelectors.specJson().getIn(["components", "responses"]);
      const isShared = (name) => responses?.every((response) => response.hasIn(["headers", name]));
      const own = properties.headers?.filterNot((_, name) => isShared(name));
      return React.createElement(Headers, { ...properties, headers: own?.size ? own : undefined });
    },
  },
});

const ui = SwaggerUIBundle({
  domNode: page,
  url: new URL("../openapi.json", location.href).pathname,
  deepLinking: true,
  plugins: [ownHeaders],
  displayRequestDuration: true,
  // Whoever tries one operation after the other still has the task for the last of them: what deletes comes after the
  // rest, and what deletes most comes last.
  operationsSorter: (one, other) => {
    const rank = (operation) => (operation.get("method") === "delete" ? 1 / operation.get("path").length : 0);
    return rank(one) - rank(other);
  },
  // Nothing is asked of another host, and nothing is kept in the browser.
  validatorUrl: null,
  persistAuthorization: false,
  onComplete: () => {
    // Only a service in development mode writes a token into the page.
    if (page.dataset.token) {
      ui.preauthorizeApiKey(page.dataset.scheme, page.dataset.token);
    }
  },
});
