"use strict";

const page = document.getElementById("swagger-ui");

// Swagger UI is dark where the page says so, and the page follows the system.
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

const ui = SwaggerUIBundle({
  domNode: page,
  url: new URL("../openapi.json", location.href).pathname,
  deepLinking: true,
  displayRequestDuration: true,
  // Whoever tries one operation after the other still has the task for the last of them.
  operationsSorter: (one, other) => (one.get("method") === "delete") - (other.get("method") === "delete"),
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
