/** `GET /openapi.json`. */
import type { FastifyInstance } from 'fastify';
import type { Service } from '../../service.ts';

export function addOpenApi(app: FastifyInstance, service: Service): void {
  // Imported and made when it is asked for: most agents never are.
  app.get('/openapi.json', async () => {
    const { openApiDocument } = await import('./document.ts');
    return openApiDocument(service.health().version);
  });
}
