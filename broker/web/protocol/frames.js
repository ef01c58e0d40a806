/**
 * The frames of `turngate.v1`: one typedef per message, joined on `type`.
 * Generated from broker/core/frames.py by broker/core/typedefs.py: change it there.
 */

/** @typedef {"available" | "away" | "busy"} Status */
/** @typedef {"available" | "away" | "busy" | "offline"} ShownStatus */
/** @typedef {"insider" | "guest"} Kind */
/** @typedef {"hung_up" | "declined" | "cancelled" | "answered_elsewhere" | "no_answer" | "party_left" | "time_limit" | "policy" | "operator" | "access_ended" | "directory_silent" | "record_unavailable" | "edge_stopping" | "emergency_stop"} EndReason */
/** @typedef {"stopped" | "time_limit" | "policy" | "record_unavailable" | "emergency_stop"} ShareEndReason */
/** @typedef {object} ClientProgram
 * @property {string} name
 * @property {string} version
 */
/** The first frame of every connection.
 * @typedef {object} Hello
 * @property {"hello"} type
 * @property {ClientProgram} client
 */
/** @typedef {object} PresenceSet
 * @property {"presence.set"} type
 * @property {Status} status
 */
/** `ref` comes back in `chat.accepted` or `error`. The same `ref` again is answered with the same message
 * id.
 * @typedef {object} ChatSend
 * @property {"chat.send"} type
 * @property {string} ref
 * @property {string} to
 * @property {string} text
 */
/** The client has the message; it need not be delivered to this person again.
 * @typedef {object} ChatReceived
 * @property {"chat.received"} type
 * @property {string} message_id
 */
/** Whom, and what for. `guest_email` says of which organisation the guest is; policy may ask for it.
 * @typedef {object} InvitationCreate
 * @property {"invitation.create"} type
 * @property {string} ref
 * @property {string} guest_name
 * @property {string | null} [guest_email]
 * @property {string} purpose
 * @property {number | null} [expires_in_seconds]
 * @property {number | null} [redemptions]
 */
/** Another link on the terms of the first, which is worth nothing from then on. Guests who are in stay.
 * @typedef {object} InvitationReissue
 * @property {"invitation.reissue"} type
 * @property {string} ref
 * @property {string} invitation_id
 */
/** Nobody comes in by it any more, and whoever is in by it is shown out.
 * @typedef {object} InvitationRevoke
 * @property {"invitation.revoke"} type
 * @property {string} invitation_id
 */
/** Where the person of this connection is signed in; answered by `sign_ins`, as are the next two.
 * @typedef {object} SignInsList
 * @property {"sign_ins.list"} type
 * @property {string} ref
 */
/** Ends one of the person's own sign-ins and the connections made with it.
 * @typedef {object} SignInRevoke
 * @property {"sign_in.revoke"} type
 * @property {string} ref
 * @property {string} sign_in_id
 */
/** Ends all of them but the one that this connection was made with.
 * @typedef {object} SignInRevokeOthers
 * @property {"sign_in.revoke_others"} type
 * @property {string} ref
 */
/** @typedef {object} LobbyAdmit
 * @property {"lobby.admit"} type
 * @property {string} guest
 */
/** Those of these guests who still wait, each decided about for themselves. Named, so that nobody is let
 * in whom the host has not seen.
 * @typedef {object} LobbyAdmitAll
 * @property {"lobby.admit_all"} type
 * @property {string[]} guests
 */
/** Refuses a waiting guest, or shows an admitted one out.
 * @typedef {object} LobbyRefuse
 * @property {"lobby.refuse"} type
 * @property {string} guest
 */
/** @typedef {object} CallInvite
 * @property {"call.invite"} type
 * @property {string} ref
 * @property {string} to
 * @property {("audio" | "video")[]} media
 */
/** @typedef {object} CallAccept
 * @property {"call.accept"} type
 * @property {string} call_id
 */
/** @typedef {object} CallDecline
 * @property {"call.decline"} type
 * @property {string} call_id
 */
/** The caller gives up while it rings.
 * @typedef {object} CallCancel
 * @property {"call.cancel"} type
 * @property {string} call_id
 */
/** @typedef {object} CallHangUp
 * @property {"call.hang_up"} type
 * @property {string} call_id
 */
/** This party wants to show its screen in this call; it offers the further video once `call.sharing` says
 * so.
 * @typedef {object} CallShare
 * @property {"call.share"} type
 * @property {string} call_id
 */
/** @typedef {object} CallUnshare
 * @property {"call.unshare"} type
 * @property {string} call_id
 */
/** Both ways: the edge forwards it rebuilt from the allow-list. The caller offers first, after
 * `call.accepted`.
 * @typedef {object} CallOffer
 * @property {"call.offer"} type
 * @property {string} call_id
 * @property {string} sdp
 */
/** @typedef {object} CallAnswer
 * @property {"call.answer"} type
 * @property {string} call_id
 * @property {string} sdp
 */
/** A trickled candidate (without the `a=` prefix); "" marks the end of candidates. Both ways.
 * @typedef {object} CallCandidate
 * @property {"call.candidate"} type
 * @property {string} call_id
 * @property {string} candidate
 * @property {string} mid
 */
/** A guest's `name` is what they call themselves; their host is told too as whom they were invited.
 * @typedef {object} Contact
 * @property {string} party
 * @property {string} name
 * @property {Kind} kind
 * @property {ShownStatus} status
 * @property {string | null} [invited_as]
 */
/** `guests` is how many came by it and have not left; those of earlier links are counted too.
 * @typedef {object} InvitationInfo
 * @property {string} invitation_id
 * @property {string} guest_name
 * @property {string | null} [guest_email]
 * @property {string} purpose
 * @property {number} expires_at
 * @property {number} redemptions
 * @property {number} redemptions_left
 * @property {number} guests
 */
/** `guest_email` and `purpose` are the host's own words of the invitation.
 * @typedef {object} WaitingGuest
 * @property {Contact} guest
 * @property {string} invitation_id
 * @property {string | null} [guest_email]
 * @property {string | null} [purpose]
 */
/** The caller's or callee's own credential for this call's relay; the only ICE server there is.
 * @typedef {object} IceServer
 * @property {string[]} urls
 * @property {string} username
 * @property {string} credential
 */
/** @typedef {object} InsiderWelcome
 * @property {"welcome"} type
 * @property {Contact} you
 * @property {Contact[]} contacts
 * @property {InvitationInfo[]} invitations
 * @property {WaitingGuest[]} lobby
 */
/** A guest starts in the lobby; `host` is there once admitted (also after a reconnect).
 * @typedef {object} GuestWelcome
 * @property {"guest.welcome"} type
 * @property {Contact} you
 * @property {string} notice
 * @property {Contact | null} [host]
 */
/** A contact is new, or came back.
 * @typedef {object} PresenceChanged
 * @property {"presence.changed"} type
 * @property {Contact} contact
 */
/** The message is durable and will be delivered if policy still allows it then.
 * @typedef {object} ChatAccepted
 * @property {"chat.accepted"} type
 * @property {string} ref
 * @property {string} message_id
 * @property {number} sent_at_ms
 */
/** May arrive more than once with the same `message_id`; answer each with `chat.received`.
 * @typedef {object} ChatMessage
 * @property {"chat.message"} type
 * @property {string} message_id
 * @property {Contact} sender
 * @property {string} text
 * @property {number} sent_at_ms
 */
/** The invitation is made, or issued again. `link` is shown once and stored nowhere: its secret sits in
 * the URL fragment.
 * @typedef {object} InvitationCreated
 * @property {"invitation.created"} type
 * @property {string} ref
 * @property {InvitationInfo} invitation
 * @property {string} link
 */
/** @typedef {object} LobbyWaiting
 * @property {"lobby.waiting"} type
 * @property {WaitingGuest} waiting
 */
/** To the guest: the host has let them in.
 * @typedef {object} LobbyAdmitted
 * @property {"lobby.admitted"} type
 * @property {Contact} host
 */
/** To the caller: it is ringing.
 * @typedef {object} CallCreated
 * @property {"call.created"} type
 * @property {string} ref
 * @property {string} call_id
 * @property {Contact} to
 * @property {("audio" | "video")[]} media
 * @property {IceServer} ice_server
 */
/** To every connection of the callee.
 * @typedef {object} CallRing
 * @property {"call.ring"} type
 * @property {string} call_id
 * @property {Contact} caller
 * @property {("audio" | "video")[]} media
 */
/** To the caller (who now offers) and to the accepting connection (which now has its ICE server).
 * @typedef {object} CallAccepted
 * @property {"call.accepted"} type
 * @property {string} call_id
 * @property {"caller" | "callee"} role
 * @property {IceServer} ice_server
 */
/** To both connections of the call: this party shows its screen now. What it shows is not inspected.
 * @typedef {object} CallSharing
 * @property {"call.sharing"} type
 * @property {string} call_id
 * @property {string} party
 */
/** @typedef {object} Error
 * @property {"error"} type
 * @property {string} code
 * @property {string} message
 * @property {boolean} retryable
 * @property {string | null} [decision_id]
 * @property {string | null} [ref]
 * @property {string | null} [call_id]
 * @property {number | null} [return_after_seconds]
 */
/** The program or its version may not be used here; `link` is where one is that may. The connection is
 * closed after it.
 * @typedef {object} ClientRefused
 * @property {"client.refused"} type
 * @property {string} message
 * @property {string} link
 */
/** After the welcome: the program may be used for now; `link` is where a better one is.
 * @typedef {object} ClientOutdated
 * @property {"client.outdated"} type
 * @property {string} message
 * @property {string} link
 */
/** A contact that is already shown has another status; offline when their last connection closed.
 * @typedef {object} PresenceStatus
 * @property {"presence.status"} type
 * @property {string} party
 * @property {ShownStatus} status
 */
/** This contact can no longer be seen.
 * @typedef {object} ContactGone
 * @property {"contact.gone"} type
 * @property {string} party
 */
/** To every other connection of its host when it was made or issued again, and to all of them when
 * somebody comes or leaves by it, or its time is up.
 * @typedef {object} InvitationChanged
 * @property {"invitation.changed"} type
 * @property {InvitationInfo} invitation
 */
/** It was revoked, or its time is up and nobody is in by it.
 * @typedef {object} InvitationGone
 * @property {"invitation.gone"} type
 * @property {string} invitation_id
 */
/** One of the person's own sign-ins. Times are Unix seconds.
 * @typedef {object} SignInInfo
 * @property {string} sign_in_id
 * @property {string} network
 * @property {string} program
 * @property {number} began_at
 * @property {number} used_at
 * @property {number} expires_at
 * @property {boolean} in_use
 * @property {boolean} this_one
 */
/** All of the person's, those in use first, then the latest used.
 * @typedef {object} SignIns
 * @property {"sign_ins"} type
 * @property {string} ref
 * @property {SignInInfo[]} sign_ins
 */
/** To the host: this guest no longer waits (left, refused, expired or admitted elsewhere).
 * @typedef {object} LobbyLeft
 * @property {"lobby.left"} type
 * @property {string} guest
 */
/** To the guest: not let in, or shown out. The connection is closed after it.
 * @typedef {object} LobbyRefused
 * @property {"lobby.refused"} type
 */
/** `ref` is the caller's own, so that a call ended before `call.created` left can be told apart. Where
 * policy ended it, `code` and `message` say why and the decision can be asked for by its id.
 * @typedef {object} CallEnded
 * @property {"call.ended"} type
 * @property {string} call_id
 * @property {EndReason} reason
 * @property {string | null} [ref]
 * @property {string | null} [code]
 * @property {string | null} [message]
 * @property {string | null} [decision_id]
 */
/** To both: this party's screen is not shown any more. When the call ends, `call.ended` alone says it.
 * @typedef {object} CallShareEnded
 * @property {"call.share_ended"} type
 * @property {string} call_id
 * @property {string} party
 * @property {ShareEndReason} reason
 */
/** What the receiver of this may send of each medium in the call from now on; None for no limit.
 * @typedef {object} MediaLimit
 * @property {"media.limit"} type
 * @property {string} call_id
 * @property {number | null} [audio_bits_per_second]
 * @property {number | null} [video_bits_per_second]
 * @property {number | null} [screen_bits_per_second]
 */
/** @typedef {object} ForwardedOffer
 * @property {"call.offer"} type
 * @property {string} call_id
 * @property {string} sdp
 */
/** @typedef {object} ForwardedAnswer
 * @property {"call.answer"} type
 * @property {string} call_id
 * @property {string} sdp
 */
/** @typedef {object} ForwardedCandidate
 * @property {"call.candidate"} type
 * @property {string} call_id
 * @property {string} candidate
 * @property {string} mid
 */
/** @typedef {Hello | PresenceSet | ChatSend | ChatReceived | SignInsList | SignInRevoke | SignInRevokeOthers | InvitationCreate | InvitationReissue | InvitationRevoke | LobbyAdmit | LobbyAdmitAll | LobbyRefuse | CallInvite | CallAccept | CallDecline | CallCancel | CallHangUp | CallShare | CallUnshare | CallOffer | CallAnswer | CallCandidate} ClientFrame */
/** @typedef {InsiderWelcome | GuestWelcome | PresenceChanged | ChatAccepted | ChatMessage | InvitationCreated | LobbyWaiting | LobbyAdmitted | CallCreated | CallRing | CallAccepted | CallSharing | Error | PresenceStatus | ContactGone | InvitationChanged | InvitationGone | LobbyLeft | LobbyRefused | CallEnded | MediaLimit | CallShareEnded | ForwardedOffer | ForwardedAnswer | ForwardedCandidate | ClientRefused | ClientOutdated | SignIns} EdgeFrame */

export {};
