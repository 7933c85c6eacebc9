# SPDX-License-Identifier: MIT
#
# memcached.py SOCKET - clients that count, store and read back over one server.
import socket
import sys
import threading

CLIENTS, ROUNDS = 4, 1500
wrong = []


class Client:
    def __init__(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(sys.argv[1])
        self.file = self.socket.makefile('rwb')

    def ask(self, text, lines=1):
        self.file.write(text.encode() + b'\r\n')
        self.file.flush()
        return [self.file.readline().decode().strip() for _ in range(lines)]


def work(number):
    try:
        client = Client()
        for i in range(ROUNDS):
            key, value = f'k{number}:{i}', str(i * number)
            client.ask('incr total 1')
            if client.ask(f'set {key} 0 0 {len(value)}\r\n{value}') != ['STORED']:
                wrong.append(key)
            if client.ask(f'get {key}', 3)[1:] != [value, 'END']:
                wrong.append(key)
    except Exception as error:
        wrong.append(error)


Client().ask('set total 0 0 1\r\n0')
threads = [threading.Thread(target=work, args=(i,)) for i in range(CLIENTS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print('total', Client().ask('get total', 3)[1])
print('wrong', wrong)
sys.exit(len(wrong) != 0)
