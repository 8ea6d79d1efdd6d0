/** A flood of violations, for Python: to other ports all the time, which nothing allows, so that each packet is of a kind of its own. */
export function scatter(address: string): string {
  return `import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print("begun", flush=True)
while True:
    for port in range(1, 65536):
        try: s.sendto(b"x", ("${address}", port))
        except OSError: pass`;
}
