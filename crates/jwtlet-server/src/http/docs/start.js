// Shows both documents. Nothing is sent from here, so no operation can be tried out, and no validator elsewhere is asked.
SwaggerUIBundle({
  urls: [
    { name: "Management API", url: "openapi.json" },
    { name: "Exchange API", url: "docs/exchange.json" },
  ],
  dom_id: "#swagger-ui",
  deepLinking: true,
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
  layout: "StandaloneLayout",
  supportedSubmitMethods: [],
  validatorUrl: null,
});
