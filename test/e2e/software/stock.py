"""Serves the files of a folder, from several threads."""
import functools
import http.server
import sys

handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])
with http.server.ThreadingHTTPServer(("", 8000), handler) as server:
    print("ready", flush=True)
    server.serve_forever()
