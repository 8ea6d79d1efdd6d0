import sys
import urllib.request

sys.stdout.write(urllib.request.urlopen("http://api.example.com:3000/report").read().decode())
