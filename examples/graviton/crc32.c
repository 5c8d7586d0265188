/* Prints the CRC-32 (as of gzip and PNG) of what it reads. */
#include <stdint.h>
#include <stdio.h>

static uint32_t update(uint32_t crc, unsigned char byte) {
  crc ^= byte;
  for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xEDB88320) : 0);
  return crc;
}

int main(void) {
  uint32_t crc = UINT32_MAX;
  for (int byte = getchar(); byte != EOF; byte = getchar()) crc = update(crc, (unsigned char)byte);
  printf("%08lx\n", (unsigned long)(crc ^ UINT32_MAX));
  return 0;
}
