"""The data that a discovery agent reports of a host, in a realistic size of about 19 kB of JSON."""

from typing import Any, Final

_DISKS: Final = 4
_INTERFACES: Final = 4
_FLAGS: Final = [
    "fpu", "vme", "de", "pse", "tsc", "msr", "pae", "mce", "cx8", "apic", "sep", "mtrr", "pge", "mca",
    "cmov", "pat", "pse36", "clflush", "mmx", "fxsr", "sse", "sse2", "ss", "syscall", "nx", "pdpe1gb",
    "rdtscp", "lm", "constant_tsc", "arch_perfmon", "rep_good", "nopl", "xtopology", "cpuid",
    "tsc_known_freq", "pni", "pclmulqdq", "vmx", "ssse3", "fma", "cx16", "pcid", "sse4_1", "sse4_2",
    "x2apic", "movbe", "popcnt", "tsc_deadline_timer", "aes", "xsave", "avx", "f16c", "rdrand",
    "hypervisor", "lahf_lm", "abm", "3dnowprefetch", "cpuid_fault", "invpcid_single", "ssbd", "ibrs",
    "ibpb", "stibp", "ibrs_enhanced", "tpr_shadow", "vnmi", "flexpriority", "ept", "vpid", "ept_ad",
    "fsgsbase", "tsc_adjust", "bmi1", "avx2", "smep", "bmi2", "erms", "invpcid", "mpx", "avx512f",
    "avx512dq", "rdseed", "adx", "smap", "clflushopt", "clwb", "avx512cd", "avx512bw", "avx512vl",
    "xsaveopt", "xsavec", "xgetbv1", "xsaves", "arat", "umip", "pku", "ospke",
]  # fmt: skip
_CHECKS: Final = {
    "hardware": (
        "has-inventory", "has-min-valid-disks", "has-min-cpu-cores", "has-min-memory", "has-cpu-cores-for-role",
        "has-memory-for-role", "hostname-unique", "hostname-valid", "valid-platform-network-settings",
        "sufficient-installation-disk-speed", "compatible-with-cluster-platform", "vsphere-disk-uuid-enabled",
        "compatible-agent", "no-skip-installation-disk", "no-skip-missing-disk",
        "disk-encryption-requirements-satisfied",
    ),
    "network": (
        "machine-cidr-defined", "connected", "media-connected", "belongs-to-machine-cidr", "ignition-downloadable",
        "belongs-to-majority-group", "sufficient-network-latency-requirement-for-role", "has-default-route",
        "sufficient-packet-loss-requirement-for-role", "api-domain-name-resolved-correctly",
        "api-int-domain-name-resolved-correctly", "apps-domain-name-resolved-correctly", "ntp-synced",
        "time-synced-between-host-and-service", "container-images-available", "dns-wildcard-not-configured",
        "non-overlapping-subnets", "no-ip-collisions-in-network", "mtu-valid",
    ),
    "operators": (
        "lso-requirements-satisfied", "odf-requirements-satisfied", "cnv-requirements-satisfied",
        "lvm-requirements-satisfied", "mce-requirements-satisfied", "mtv-requirements-satisfied",
    ),
}  # fmt: skip


def inventory(number: int) -> dict[str, Any]:
    """Return the hardware of a host."""
    return {
        "bmc_address": f"10.1.{number // 250}.{number % 250 + 1}",
        "boot": {"current_boot_mode": "uefi"},
        "cpu": {"architecture": "x86_64", "count": 8, "frequency": 2095.078, "flags": _FLAGS},
        "disks": [_disk(number, disk) for disk in range(_DISKS)],
        "hostname": f"host-{number}",
        "interfaces": [_interface(number, nic) for nic in range(_INTERFACES)],
        "memory": {"physical_bytes": 17179869184, "usable_bytes": 16703832064},
        "system_vendor": {"manufacturer": "Red Hat", "product_name": "KVM", "virtual": True},
        "timestamp": 1785574800,
    }


def _disk(number: int, disk: int) -> dict[str, Any]:
    attributes = [
        {
            "id": n,
            "name": f"Attribute_{n}",
            "value": 100,
            "worst": 100,
            "thresh": 0,
            "raw": {"value": n * number},
        }
        for n in range(1, 23)
    ]
    return {
        "by_path": f"/dev/disk/by-path/pci-0000:00:{disk:02x}.0",
        "drive_type": "SSD",
        "has_uuid": True,
        "id": f"/dev/disk/by-path/pci-0000:00:{disk:02x}.0",
        "installation_eligibility": {"eligible": disk == 0, "not_eligible_reasons": None},
        "name": f"vd{'abcdefgh'[disk]}",
        "size_bytes": 128849018880,
        "smart": {"device": {"type": "sat"}, "ata_smart_attributes": {"table": attributes}},
        "vendor": "0x1af4",
    }


def _interface(number: int, nic: int) -> dict[str, Any]:
    return {
        "flags": ["up", "broadcast", "multicast"],
        "has_carrier": True,
        "ipv4_addresses": [f"192.168.{126 + nic}.{number % 250 + 2}/24"],
        "ipv6_addresses": [],
        "mac_address": f"52:54:00:{nic:02x}:{number // 256:02x}:{number % 256:02x}",
        "mtu": 1500,
        "name": f"ens{nic + 3}",
        "speed_mbps": 10000,
        "vendor": "0x1af4",
    }


def validations() -> dict[str, Any]:
    """Return the validations of a host, all passed."""
    return {
        group: [
            {"id": check, "status": "success", "message": f"The host passes the validation {check}"}
            for check in checks
        ]
        for group, checks in _CHECKS.items()
    }
