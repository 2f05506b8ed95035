#include "vmx.h"
void test_events(void) {}
