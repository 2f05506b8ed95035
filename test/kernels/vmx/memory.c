#include "vmx.h"
void test_memory(void) {}
