// The description of the service, drawn by our own copy of Swagger UI; what is tried goes out in the reader's session.
const seen = await fetch("/api/session").then((answer) => answer.json()).catch(() => ({}));

globalThis.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#addresses",
  validatorUrl: null, // none: the usual one is on a public network
  requestInterceptor: (request) => {
    if (seen.csrf) request.headers["X-CSRF-Token"] = seen.csrf;
    return request;
  },
});
