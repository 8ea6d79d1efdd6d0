// Command prober prints the first line of a server's answer: a program without libc, with a resolver of its own.
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
)

func probe(address string) (string, error) {
	connection, err := net.Dial("tcp", address)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	if _, err = fmt.Fprint(connection, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		return "", err
	}
	return bufio.NewReader(connection).ReadString('\n')
}

func main() {
	line, err := probe(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Print(line)
}
