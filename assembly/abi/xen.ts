/** Numbers and shared-page layouts of Xen's public interface, under their public names. Values with bit 31 set stay out
 *  (the two languages disagree on their sign); `tests/abi` compares every member with the C headers. */

/** Hypercall numbers: `__HYPERVISOR_<name>` (public/xen.h). */
export const enum Hypercall {
  set_trap_table = 0,
  mmu_update = 1,
  set_gdt = 2,
  stack_switch = 3,
  set_callbacks = 4,
  fpu_taskswitch = 5,
  sched_op_compat = 6,
  platform_op = 7,
  set_debugreg = 8,
  get_debugreg = 9,
  update_descriptor = 10,
  memory_op = 12,
  multicall = 13,
  update_va_mapping = 14,
  set_timer_op = 15,
  event_channel_op_compat = 16,
  xen_version = 17,
  console_io = 18,
  physdev_op_compat = 19,
  grant_table_op = 20,
  vm_assist = 21,
  update_va_mapping_otherdomain = 22,
  iret = 23,
  vcpu_op = 24,
  set_segment_base = 25,
  mmuext_op = 26,
  xsm_op = 27,
  nmi_op = 28,
  sched_op = 29,
  callback_op = 30,
  xenoprof_op = 31,
  event_channel_op = 32,
  physdev_op = 33,
  hvm_op = 34,
  sysctl = 35,
  domctl = 36,
  kexec_op = 37,
  tmem_op = 38,
  argo_op = 39,
  xenpmu_op = 40,
  dm_op = 41,
  hypfs_op = 42,
  arch_0 = 48,
  arch_1 = 49,
  arch_2 = 50,
  arch_3 = 51,
  arch_4 = 52,
  arch_5 = 53,
  arch_6 = 54,
  arch_7 = 55,
}

/** Constants, verbatim. */
export const enum Xen {
  /* xen.h */
  DOMID_FIRST_RESERVED = 0x7ff0,
  DOMID_SELF = 0x7ff0,
  DOMID_IO = 0x7ff1,
  DOMID_XEN = 0x7ff2,
  DOMID_COW = 0x7ff3,
  DOMID_INVALID = 0x7ff4,
  DOMID_IDLE = 0x7fff,
  VIRQ_TIMER = 0,
  VIRQ_DEBUG = 1,
  VIRQ_CONSOLE = 2,
  VIRQ_DOM_EXC = 3,
  VIRQ_TBUF = 4,
  VIRQ_DEBUGGER = 6,
  VIRQ_XENOPROF = 7,
  VIRQ_CON_RING = 8,
  VIRQ_PCPU_STATE = 9,
  VIRQ_MEM_EVENT = 10,
  VIRQ_ARGO = 11,
  VIRQ_ENOMEM = 12,
  VIRQ_XENPMU = 13,
  VIRQ_ARCH_0 = 16,
  NR_VIRQS = 24,
  CONSOLEIO_write = 0,
  CONSOLEIO_read = 1,
  VMASST_CMD_enable = 0,
  VMASST_CMD_disable = 1,
  VMASST_TYPE_runstate_update_flag = 5,
  XEN_LEGACY_MAX_VCPUS = 32,
  XEN_PVCLOCK_TSC_STABLE_BIT = 1,

  /* event_channel.h */
  EVTCHNOP_bind_interdomain = 0,
  EVTCHNOP_bind_virq = 1,
  EVTCHNOP_bind_pirq = 2,
  EVTCHNOP_close = 3,
  EVTCHNOP_send = 4,
  EVTCHNOP_status = 5,
  EVTCHNOP_alloc_unbound = 6,
  EVTCHNOP_bind_ipi = 7,
  EVTCHNOP_bind_vcpu = 8,
  EVTCHNOP_unmask = 9,
  EVTCHNOP_reset = 10,
  EVTCHNOP_init_control = 11,
  EVTCHNOP_expand_array = 12,
  EVTCHNOP_set_priority = 13,
  EVTCHNSTAT_closed = 0,
  EVTCHNSTAT_unbound = 1,
  EVTCHNSTAT_interdomain = 2,
  EVTCHNSTAT_pirq = 3,
  EVTCHNSTAT_virq = 4,
  EVTCHNSTAT_ipi = 5,
  EVTCHN_FIFO_PRIORITY_MAX = 0,
  EVTCHN_FIFO_PRIORITY_DEFAULT = 7,
  EVTCHN_FIFO_PRIORITY_MIN = 15,
  EVTCHN_FIFO_MAX_QUEUES = 16,
  EVTCHN_FIFO_PENDING = 31, // bit numbers
  EVTCHN_FIFO_MASKED = 30,
  EVTCHN_FIFO_LINKED = 29,
  EVTCHN_FIFO_BUSY = 28,
  EVTCHN_FIFO_LINK_BITS = 17,
  EVTCHN_FIFO_NR_CHANNELS = 0x20000,

  /* sched.h */
  SCHEDOP_yield = 0,
  SCHEDOP_block = 1,
  SCHEDOP_shutdown = 2,
  SCHEDOP_poll = 3,
  SCHEDOP_remote_shutdown = 4,
  SCHEDOP_shutdown_code = 5,
  SCHEDOP_watchdog = 6,
  SCHEDOP_pin_override = 7,
  SHUTDOWN_poweroff = 0,
  SHUTDOWN_reboot = 1,
  SHUTDOWN_suspend = 2,
  SHUTDOWN_crash = 3,
  SHUTDOWN_watchdog = 4,
  SHUTDOWN_soft_reset = 5,
  SHUTDOWN_MAX = 5,

  /* vcpu.h */
  VCPUOP_initialise = 0,
  VCPUOP_up = 1,
  VCPUOP_down = 2,
  VCPUOP_is_up = 3,
  VCPUOP_get_runstate_info = 4,
  VCPUOP_register_runstate_memory_area = 5,
  VCPUOP_set_periodic_timer = 6,
  VCPUOP_stop_periodic_timer = 7,
  VCPUOP_set_singleshot_timer = 8,
  VCPUOP_stop_singleshot_timer = 9,
  VCPUOP_register_vcpu_info = 10,
  VCPUOP_send_nmi = 11,
  VCPUOP_get_physid = 12,
  VCPUOP_register_vcpu_time_memory_area = 13,
  RUNSTATE_running = 0,
  RUNSTATE_runnable = 1,
  RUNSTATE_blocked = 2,
  RUNSTATE_offline = 3,
  VCPU_SSHOTTMR_future = 1,
  VCPU_HVM_MODE_32B = 0,
  VCPU_HVM_MODE_64B = 1,

  /* memory.h */
  XENMEM_increase_reservation = 0,
  XENMEM_decrease_reservation = 1,
  XENMEM_maximum_ram_page = 2,
  XENMEM_current_reservation = 3,
  XENMEM_maximum_reservation = 4,
  XENMEM_machphys_mfn_list = 5,
  XENMEM_populate_physmap = 6,
  XENMEM_add_to_physmap = 7,
  XENMEM_memory_map = 9,
  XENMEM_machine_memory_map = 10,
  XENMEM_exchange = 11,
  XENMEM_machphys_mapping = 12,
  XENMEM_set_memory_map = 13,
  XENMEM_maximum_gpfn = 14,
  XENMEM_remove_from_physmap = 15,
  XENMEM_set_pod_target = 16,
  XENMEM_get_pod_target = 17,
  XENMEM_get_sharing_freed_pages = 18,
  XENMEM_get_sharing_shared_pages = 19,
  XENMEM_paging_op = 20,
  XENMEM_access_op = 21,
  XENMEM_sharing_op = 22,
  XENMEM_add_to_physmap_batch = 23,
  XENMEM_claim_pages = 24,
  XENMEM_machphys_compat_mfn_list = 25,
  XENMEM_get_vnumainfo = 26,
  XENMEM_reserved_device_memory_map = 27,
  XENMEM_acquire_resource = 28,
  XENMEMF_populate_on_demand = 0x10000,
  XENMAPSPACE_shared_info = 0,
  XENMAPSPACE_grant_table = 1,
  XENMAPSPACE_gmfn = 2,
  XENMAPSPACE_gmfn_range = 3,
  XENMAPSPACE_gmfn_foreign = 4,
  XENMAPSPACE_dev_mmio = 5,
  XENMEM_RDM_ALL = 1,

  /* grant_table.h */
  GNTTABOP_map_grant_ref = 0,
  GNTTABOP_unmap_grant_ref = 1,
  GNTTABOP_setup_table = 2,
  GNTTABOP_dump_table = 3,
  GNTTABOP_transfer = 4,
  GNTTABOP_copy = 5,
  GNTTABOP_query_size = 6,
  GNTTABOP_unmap_and_replace = 7,
  GNTTABOP_set_version = 8,
  GNTTABOP_get_status_frames = 9,
  GNTTABOP_get_version = 10,
  GNTTABOP_swap_grant_ref = 11,
  GNTTABOP_cache_flush = 12,
  GTF_invalid = 0,
  GTF_permit_access = 1,
  GTF_accept_transfer = 2,
  GTF_transitive = 3,
  GTF_type_mask = 3,
  GTF_readonly = 4,
  GTF_reading = 8,
  GTF_writing = 16,
  GTF_sub_page = 256,
  GNTTAB_NR_RESERVED_ENTRIES = 8,
  GNTTAB_RESERVED_CONSOLE = 0,
  GNTTAB_RESERVED_XENSTORE = 1,
  GNTMAP_device_map = 1,
  GNTMAP_host_map = 2,
  GNTMAP_readonly = 4,
  GNTMAP_application_map = 8,
  GNTMAP_contains_pte = 16,
  GNTCOPY_source_gref = 1,
  GNTCOPY_dest_gref = 2,
  GNTST_okay = 0,
  GNTST_general_error = -1,
  GNTST_bad_domain = -2,
  GNTST_bad_gntref = -3,
  GNTST_bad_handle = -4,
  GNTST_bad_virt_addr = -5,
  GNTST_bad_dev_addr = -6,
  GNTST_no_device_space = -7,
  GNTST_permission_denied = -8,
  GNTST_bad_page = -9,
  GNTST_bad_copy_arg = -10,
  GNTST_address_too_big = -11,
  GNTST_eagain = -12,
  GNTST_no_space = -13,

  /* version.h, features.h */
  XENVER_version = 0,
  XENVER_extraversion = 1,
  XENVER_compile_info = 2,
  XENVER_capabilities = 3,
  XENVER_changeset = 4,
  XENVER_platform_parameters = 5,
  XENVER_get_features = 6,
  XENVER_pagesize = 7,
  XENVER_guest_handle = 8,
  XENVER_commandline = 9,
  XENVER_build_id = 10,
  XENFEAT_writable_page_tables = 0,
  XENFEAT_writable_descriptor_tables = 1,
  XENFEAT_auto_translated_physmap = 2,
  XENFEAT_supervisor_mode_kernel = 3,
  XENFEAT_pae_pgdir_above_4gb = 4,
  XENFEAT_mmu_pt_update_preserve_ad = 5,
  XENFEAT_highmem_assist = 6,
  XENFEAT_gnttab_map_avail_bits = 7,
  XENFEAT_hvm_callback_vector = 8,
  XENFEAT_hvm_safe_pvclock = 9,
  XENFEAT_hvm_pirqs = 10,
  XENFEAT_dom0 = 11,
  XENFEAT_memory_op_vnode_supported = 13,
  XENFEAT_linux_rsdp_unrestricted = 15,
  XENFEAT_not_direct_mapped = 16,
  XENFEAT_direct_mapped = 17,
  XENFEAT_NR_SUBMAPS = 1,

  /* hvm/hvm_op.h, hvm/params.h */
  HVMOP_set_param = 0,
  HVMOP_get_param = 1,
  HVMOP_flush_tlbs = 5,
  HVMOP_pagetable_dying = 9,
  HVMOP_get_time = 10,
  HVMOP_xentrace = 11,
  HVMOP_set_mem_access = 12,
  HVMOP_get_mem_access = 13,
  HVMOP_get_mem_type = 15,
  HVMOP_set_evtchn_upcall_vector = 23,
  HVMOP_guest_request_vm_event = 24,
  HVMOP_altp2m = 25,
  HVM_PARAM_CALLBACK_IRQ = 0,
  HVM_PARAM_STORE_PFN = 1,
  HVM_PARAM_STORE_EVTCHN = 2,
  HVM_PARAM_IOREQ_PFN = 5,
  HVM_PARAM_BUFIOREQ_PFN = 6,
  HVM_PARAM_VIRIDIAN = 9,
  HVM_PARAM_TIMER_MODE = 10,
  HVM_PARAM_HPET_ENABLED = 11,
  HVM_PARAM_IDENT_PT = 12,
  HVM_PARAM_ACPI_S_STATE = 14,
  HVM_PARAM_VM86_TSS = 15,
  HVM_PARAM_VPT_ALIGN = 16,
  HVM_PARAM_CONSOLE_PFN = 17,
  HVM_PARAM_CONSOLE_EVTCHN = 18,
  HVM_PARAM_ACPI_IOPORTS_LOCATION = 19,
  HVM_PARAM_PAGING_RING_PFN = 27,
  HVM_PARAM_MONITOR_RING_PFN = 28,
  HVM_PARAM_SHARING_RING_PFN = 29,
  HVM_PARAM_TRIPLE_FAULT_REASON = 31,
  HVM_PARAM_IOREQ_SERVER_PFN = 32,
  HVM_PARAM_NR_IOREQ_SERVER_PAGES = 33,
  HVM_PARAM_VM_GENERATION_ID_ADDR = 34,
  HVM_PARAM_ALTP2M = 35,
  HVM_PARAM_X87_FIP_WIDTH = 36,
  HVM_PARAM_VM86_TSS_SIZED = 37,
  HVM_PARAM_MCA_CAP = 38,
  HVM_NR_PARAMS = 39,
  HVM_PARAM_CALLBACK_TYPE_GSI = 0,
  HVM_PARAM_CALLBACK_TYPE_PCI_INTX = 1,
  HVM_PARAM_CALLBACK_TYPE_VECTOR = 2,

  /* physdev.h */
  PHYSDEVOP_irq_status_query = 5,
  PHYSDEVOP_set_iopl = 6,
  PHYSDEVOP_eoi = 12,
  PHYSDEVOP_map_pirq = 13,
  PHYSDEVOP_unmap_pirq = 14,
  PHYSDEVOP_setup_gsi = 21,
  PHYSDEVOP_get_free_pirq = 23,
  PHYSDEVOP_pci_mmcfg_reserved = 24,
  PHYSDEVOP_pci_device_add = 25,

  /* arch-x86/hvm/start_info.h */
  XEN_HVM_START_MAGIC_VALUE = 0x336ec578,
  XEN_HVM_MEMMAP_TYPE_RAM = 1,
  XEN_HVM_MEMMAP_TYPE_RESERVED = 2,
  XEN_HVM_MEMMAP_TYPE_ACPI = 3,
  XEN_HVM_MEMMAP_TYPE_NVS = 4,
  XEN_HVM_MEMMAP_TYPE_UNUSABLE = 5,
}

/** struct shared_info as 64-bit guests see it. */
export const enum SharedInfoOff {
  vcpu_info = 0, // 32 x 64 B
  evtchn_pending = 2048, // u64[64]
  evtchn_mask = 2560, // u64[64]
  wc_version = 3072,
  wc_sec = 3076,
  wc_nsec = 3080,
  wc_sec_hi = 3084,
  arch = 3088,
  SIZE = 3136,
}

/** struct shared_info as 32-bit guests see it. */
export const enum SharedInfo32Off {
  vcpu_info = 0, // 32 x 64 B
  evtchn_pending = 2048, // u32[32]
  evtchn_mask = 2176, // u32[32]
  wc_version = 2304,
  wc_sec = 2308,
  wc_nsec = 2312,
  arch = 2316,
  wc_sec_hi = 2340,
  SIZE = 2344,
}

/** struct vcpu_info, 64-bit. `time` is at the same place for 32-bit guests. */
export const enum VcpuInfoOff {
  evtchn_upcall_pending = 0, // u8
  evtchn_upcall_mask = 1, // u8
  evtchn_pending_sel = 8, // u64
  arch = 16,
  time = 32,
  SIZE = 64,
}

export const enum VcpuInfo32Off {
  evtchn_upcall_pending = 0,
  evtchn_upcall_mask = 1,
  evtchn_pending_sel = 4, // u32
  arch = 8,
  time = 32,
  SIZE = 64,
}

/** struct vcpu_time_info. */
export const enum VcpuTimeInfoOff {
  version = 0, // u32, odd while being changed
  tsc_timestamp = 8, // u64
  system_time = 16, // u64, ns
  tsc_to_system_mul = 24, // u32
  tsc_shift = 28, // i8
  flags = 29, // u8
  SIZE = 32,
}

/** struct evtchn_fifo_control_block. */
export const enum FifoControlOff {
  ready = 0, // u32, one bit per priority
  head = 8, // u32[16]
  SIZE = 72,
}

/** struct grant_entry_v1. */
export const enum GrantEntryV1Off {
  flags = 0, // u16
  domid = 2, // u16
  frame = 4, // u32
  SIZE = 8,
}

/** struct hvm_start_info. */
export const enum HvmStartInfoOff {
  magic = 0,
  version = 4,
  flags = 8,
  nr_modules = 12,
  modlist_paddr = 16,
  cmdline_paddr = 24,
  rsdp_paddr = 32,
  memmap_paddr = 40,
  memmap_entries = 48,
  SIZE = 56,
}

/** struct hvm_modlist_entry. */
export const enum HvmModlistEntryOff {
  paddr = 0,
  size = 8,
  cmdline_paddr = 16,
  SIZE = 32,
}

/** struct hvm_memmap_table_entry. */
export const enum HvmMemmapEntryOff {
  addr = 0,
  size = 8,
  type = 16,
  SIZE = 24,
}
