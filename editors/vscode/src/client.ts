/** The client library, taught that a server which never came up is neither started again nor complained about twice. */

import { CloseAction, LanguageClient, type ErrorHandler, type LanguageClientOptions, type ServerOptions } from "vscode-languageclient/node";

export class Client extends LanguageClient {
  private up = false;

  constructor(server: ServerOptions, options: LanguageClientOptions) {
    let usual: ErrorHandler | undefined;
    const ask = (): ErrorHandler => (usual ??= this.createDefaultErrorHandler());
    super("dopt", "dopt", server, {
      ...options,
      initializationFailedHandler: () => false,
      errorHandler: {
        error: (error, message, count) => ask().error(error, message, count),
        closed: () => (this.up ? ask().closed() : { action: CloseAction.DoNotRestart, handled: true }),
      },
    });
  }

  override async start(): Promise<void> {
    await super.start();
    this.up = true;
  }

  override error(message: string, data?: unknown, showNotification?: boolean | "force"): void {
    super.error(message, data, this.up ? showNotification : false);
  }
}
