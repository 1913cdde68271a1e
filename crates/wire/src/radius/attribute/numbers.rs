//! The numbers that this product sends, reads or prints (BEHAVIOUR.md 8.1).

use super::{Type, VendorType};

impl Type {
    /// User-Name (RFC 2865 section 5.1).
    pub const USER_NAME: Type = Type(1);
    /// NAS-IP-Address (RFC 2865 section 5.4).
    pub const NAS_IP_ADDRESS: Type = Type(4);
    /// NAS-Port (RFC 2865 section 5.5).
    pub const NAS_PORT: Type = Type(5);
    /// Service-Type (RFC 2865 section 5.6).
    pub const SERVICE_TYPE: Type = Type(6);
    /// Framed-Protocol (RFC 2865 section 5.7).
    pub const FRAMED_PROTOCOL: Type = Type(7);
    /// Framed-IP-Address (RFC 2865 section 5.8).
    pub const FRAMED_IP_ADDRESS: Type = Type(8);
    /// Framed-IP-Netmask (RFC 2865 section 5.9).
    pub const FRAMED_IP_NETMASK: Type = Type(9);
    /// Filter-Id (RFC 2865 section 5.11).
    pub const FILTER_ID: Type = Type(11);
    /// Framed-MTU (RFC 2865 section 5.12).
    pub const FRAMED_MTU: Type = Type(12);
    /// Reply-Message (RFC 2865 section 5.18).
    pub const REPLY_MESSAGE: Type = Type(18);
    /// Framed-Route (RFC 2865 section 5.22).
    pub const FRAMED_ROUTE: Type = Type(22);
    /// State (RFC 2865 section 5.24).
    pub const STATE: Type = Type(24);
    /// Class (RFC 2865 section 5.25).
    pub const CLASS: Type = Type(25);
    /// Vendor-Specific (RFC 2865 section 5.26).
    pub const VENDOR_SPECIFIC: Type = Type(26);
    /// Session-Timeout (RFC 2865 section 5.27).
    pub const SESSION_TIMEOUT: Type = Type(27);
    /// Idle-Timeout (RFC 2865 section 5.28).
    pub const IDLE_TIMEOUT: Type = Type(28);
    /// Called-Station-Id (RFC 2865 section 5.30).
    pub const CALLED_STATION_ID: Type = Type(30);
    /// Calling-Station-Id (RFC 2865 section 5.31).
    pub const CALLING_STATION_ID: Type = Type(31);
    /// NAS-Identifier (RFC 2865 section 5.32).
    pub const NAS_IDENTIFIER: Type = Type(32);
    /// Proxy-State (RFC 2865 section 5.33).
    pub const PROXY_STATE: Type = Type(33);
    /// Acct-Status-Type (RFC 2866 section 5.1).
    pub const ACCT_STATUS_TYPE: Type = Type(40);
    /// Acct-Delay-Time (RFC 2866 section 5.2).
    pub const ACCT_DELAY_TIME: Type = Type(41);
    /// Acct-Input-Octets (RFC 2866 section 5.3).
    pub const ACCT_INPUT_OCTETS: Type = Type(42);
    /// Acct-Output-Octets (RFC 2866 section 5.4).
    pub const ACCT_OUTPUT_OCTETS: Type = Type(43);
    /// Acct-Session-Id (RFC 2866 section 5.5).
    pub const ACCT_SESSION_ID: Type = Type(44);
    /// Acct-Authentic (RFC 2866 section 5.6).
    pub const ACCT_AUTHENTIC: Type = Type(45);
    /// Acct-Session-Time (RFC 2866 section 5.7).
    pub const ACCT_SESSION_TIME: Type = Type(46);
    /// Acct-Input-Packets (RFC 2866 section 5.8).
    pub const ACCT_INPUT_PACKETS: Type = Type(47);
    /// Acct-Output-Packets (RFC 2866 section 5.9).
    pub const ACCT_OUTPUT_PACKETS: Type = Type(48);
    /// Acct-Terminate-Cause (RFC 2866 section 5.10).
    pub const ACCT_TERMINATE_CAUSE: Type = Type(49);
    /// Acct-Multi-Session-Id (RFC 2866 section 5.11).
    pub const ACCT_MULTI_SESSION_ID: Type = Type(50);
    /// Acct-Link-Count (RFC 2866 section 5.12).
    pub const ACCT_LINK_COUNT: Type = Type(51);
    /// Acct-Input-Gigawords (RFC 2869 section 5.1).
    pub const ACCT_INPUT_GIGAWORDS: Type = Type(52);
    /// Acct-Output-Gigawords (RFC 2869 section 5.2).
    pub const ACCT_OUTPUT_GIGAWORDS: Type = Type(53);
    /// Event-Timestamp (RFC 2869 section 5.3).
    pub const EVENT_TIMESTAMP: Type = Type(55);
    /// NAS-Port-Type (RFC 2865 section 5.41).
    pub const NAS_PORT_TYPE: Type = Type(61);
    /// Connect-Info (RFC 2869 section 5.11).
    pub const CONNECT_INFO: Type = Type(77);
    /// Message-Authenticator (RFC 2869 section 5.14).
    pub const MESSAGE_AUTHENTICATOR: Type = Type(80);
    /// Acct-Interim-Interval (RFC 2869 section 5.16).
    pub const ACCT_INTERIM_INTERVAL: Type = Type(85);
    /// NAS-Port-Id (RFC 2869 section 5.17).
    pub const NAS_PORT_ID: Type = Type(87);
    /// Framed-Pool (RFC 2869 section 5.18).
    pub const FRAMED_POOL: Type = Type(88);
    /// NAS-IPv6-Address (RFC 3162 section 2.1).
    pub const NAS_IPV6_ADDRESS: Type = Type(95);
    /// Framed-Interface-Id (RFC 3162 section 2.2).
    pub const FRAMED_INTERFACE_ID: Type = Type(96);
    /// Framed-IPv6-Prefix (RFC 3162 section 2.3).
    pub const FRAMED_IPV6_PREFIX: Type = Type(97);
    /// Framed-IPv6-Route (RFC 3162 section 2.5).
    pub const FRAMED_IPV6_ROUTE: Type = Type(99);
    /// Framed-IPv6-Pool (RFC 3162 section 2.6).
    pub const FRAMED_IPV6_POOL: Type = Type(100);
    /// Error-Cause (RFC 5176 section 3.5).
    pub const ERROR_CAUSE: Type = Type(101);
    /// Delegated-IPv6-Prefix (RFC 4818 section 3).
    pub const DELEGATED_IPV6_PREFIX: Type = Type(123);
    /// Framed-IPv6-Address (RFC 6911 section 3.1).
    pub const FRAMED_IPV6_ADDRESS: Type = Type(168);
    /// DNS-Server-IPv6-Address (RFC 6911 section 3.2).
    pub const DNS_SERVER_IPV6_ADDRESS: Type = Type(169);
}

/// Attributes of Huawei, as the vendor's own NAS sends them.
pub mod huawei {
    use super::VendorType;

    /// The vendor's enterprise code.
    pub const VENDOR: u32 = 2011;

    const fn kind(number: u8) -> VendorType {
        VendorType { vendor: VENDOR, number }
    }

    /// Number of the connection.
    pub const CONNECT_ID: VendorType = kind(26);
    /// When the NAS started, epoch seconds.
    pub const STARTUP_STAMP: VendorType = kind(59);
    /// Address and MAC of the subscriber as text: `100.64.0.1 02:00:00:00:00:01`.
    pub const IPHOST_ADDR: VendorType = kind(60);
    /// The domain of the subscriber.
    pub const DOMAIN_NAME: VendorType = kind(138);
    /// MAC of the subscriber, as text.
    pub const USER_MAC: VendorType = kind(153);
    /// 1 in an interim that tells of a new address.
    pub const ACCT_UPDATE_ADDRESS: VendorType = kind(159);
    /// Low 32 bits of IPv6 octets that the subscriber sent.
    pub const ACCT_IPV6_INPUT_OCTETS: VendorType = kind(166);
    /// Low 32 bits of IPv6 octets that the subscriber received.
    pub const ACCT_IPV6_OUTPUT_OCTETS: VendorType = kind(167);
    /// IPv6 packets that the subscriber sent.
    pub const ACCT_IPV6_INPUT_PACKETS: VendorType = kind(168);
    /// IPv6 packets that the subscriber received.
    pub const ACCT_IPV6_OUTPUT_PACKETS: VendorType = kind(169);
    /// High 32 bits of [`ACCT_IPV6_INPUT_OCTETS`].
    pub const ACCT_IPV6_INPUT_GIGAWORDS: VendorType = kind(170);
    /// High 32 bits of [`ACCT_IPV6_OUTPUT_OCTETS`].
    pub const ACCT_IPV6_OUTPUT_GIGAWORDS: VendorType = kind(171);
    /// Why the session ended, in the vendor's finer numbers.
    pub const ACCT_TERMINATE_SUBCAUSE: VendorType = kind(181);
    /// Software version of the NAS.
    pub const VERSION: VendorType = kind(254);
    /// Product name of the NAS.
    pub const PRODUCT_ID: VendorType = kind(255);
}
