// A libnvidia-ml.so.1 for the emulated GPU. EMULATED_THROTTLING has the bits of the reasons why clocks are low, EMULATED_LANES the
// lanes of its link (16), EMULATED_POWER its limit in W (350 of 350), EMULATED_ECC whether error correction is on (0); with EMULATED_LOST=1 the GPU is lost.
#include <cstdint>
#include <cstdlib>

namespace {
long setting(const char* name, long otherwise) {
  const char* value = getenv(name);
  return value ? atol(value) : otherwise;
}

// NVML_ERROR_GPU_IS_LOST, or NVML_SUCCESS.
int state() { return setting("EMULATED_LOST", 0) ? 15 : 0; }

int tell(unsigned* place, long value) {
  if (state() == 0) *place = (unsigned)value;
  return state();
}
} // namespace

extern "C" {
int nvmlInit_v2() { return 0; }
int nvmlDeviceGetHandleByPciBusId_v2(const char*, void** device) { *device = (void*)1; return 0; }
int nvmlDeviceGetClockInfo(void*, unsigned kind, unsigned* mhz) { return tell(mhz, kind == 2 ? 1593 : 1410); }
int nvmlDeviceGetTemperature(void*, unsigned, unsigned* degrees) { return tell(degrees, 41); }
int nvmlDeviceGetPowerUsage(void*, unsigned* milliwatts) { return tell(milliwatts, 212000); }
int nvmlDeviceGetEnforcedPowerLimit(void*, unsigned* milliwatts) { return tell(milliwatts, setting("EMULATED_POWER", 350) * 1000); }
int nvmlDeviceGetPowerManagementDefaultLimit(void*, unsigned* milliwatts) { return tell(milliwatts, 350000); }
int nvmlDeviceGetCurrPcieLinkGeneration(void*, unsigned* value) { return tell(value, 4); }
int nvmlDeviceGetMaxPcieLinkGeneration(void*, unsigned* value) { return tell(value, 4); }
int nvmlDeviceGetCurrPcieLinkWidth(void*, unsigned* value) { return tell(value, setting("EMULATED_LANES", 16)); }
int nvmlDeviceGetMaxPcieLinkWidth(void*, unsigned* value) { return tell(value, 16); }
int nvmlDeviceGetEccMode(void*, unsigned* now, unsigned* pending) { tell(pending, 0); return tell(now, setting("EMULATED_ECC", 0)); }
int nvmlDeviceGetCurrentClocksThrottleReasons(void*, unsigned long long* bits) {
  *bits = (unsigned long long)setting("EMULATED_THROTTLING", 1);
  return state();
}
}
