"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0001'
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute('CREATE SEQUENCE delivery_order AS bigint')
    op.create_table('api_token',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('scope', sa.Text(), nullable=False),
    sa.Column('endpoints', postgresql.JSONB(astext_type=sa.Text()), server_default='[]', nullable=False),
    sa.Column('hash', sa.LargeBinary(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('revoked_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('last_used_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('api_token_pkey'))
    )
    op.create_index('api_token_hash', 'api_token', ['hash'], unique=True, postgresql_where=sa.text('revoked_at IS NULL'))
    op.create_table('cleared',
    sa.Column('endpoint', sa.Text(), nullable=False),
    sa.Column('until', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('endpoint', name=op.f('cleared_pkey'))
    )
    op.create_table('contact',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('endpoint', sa.Text(), nullable=False),
    sa.Column('identity', sa.Text(), nullable=False),
    sa.Column('profile', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), server_default='{}', nullable=False),
    sa.Column('active', sa.Boolean(), server_default=sa.text('true'), nullable=False),
    sa.Column('first_seen_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('last_seen_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('contact_pkey')),
    sa.UniqueConstraint('endpoint', 'identity', name=op.f('contact_endpoint_identity_key'))
    )
    op.create_index('contact_first_seen', 'contact', ['first_seen_at'], unique=False)
    op.create_index('contact_profile', 'contact', ['profile'], unique=False, postgresql_using='gin', postgresql_ops={'profile': 'jsonb_path_ops'})
    op.create_table('endpoint_state',
    sa.Column('endpoint', sa.Text(), nullable=False),
    sa.Column('tenant', sa.Text(), nullable=True),
    sa.Column('verified_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('paused_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('paused_key', sa.Text(), nullable=True),
    sa.Column('mode', sa.Text(), server_default='live', nullable=False),
    sa.Column('probe_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("mode IN ('live', 'to_queue', 'silent')", name=op.f('endpoint_state_mode_check')),
    sa.PrimaryKeyConstraint('endpoint', name=op.f('endpoint_state_pkey'))
    )
    op.create_table('file',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('key', sa.Text(), nullable=False),
    sa.Column('endpoint', sa.Text(), nullable=False),
    sa.Column('conversation_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('session_id', sa.BigInteger(), autoincrement=False, nullable=True),
    sa.Column('event_id', sa.BigInteger(), autoincrement=False, nullable=True),
    sa.Column('delivery_id', sa.BigInteger(), autoincrement=False, nullable=True),
    sa.Column('position', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('direction', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=True),
    sa.Column('declared_type', sa.Text(), nullable=True),
    sa.Column('type', sa.Text(), nullable=True),
    sa.Column('size', sa.BigInteger(), autoincrement=False, nullable=True),
    sa.Column('sha256', sa.LargeBinary(), nullable=True),
    sa.Column('gateway_id', sa.Text(), nullable=True),
    sa.Column('state', sa.Text(), server_default='wanted', nullable=False),
    sa.Column('scan', sa.Text(), server_default='not_scanned', nullable=False),
    sa.Column('reason', sa.Text(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('stored_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('deleted_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("direction IN ('in', 'out')", name=op.f('file_direction_check')),
    sa.CheckConstraint("scan IN ('not_scanned', 'clean', 'infected')", name=op.f('file_scan_check')),
    sa.CheckConstraint("state IN ('wanted', 'stored', 'failed', 'infected', 'deleted')", name=op.f('file_state_check')),
    sa.PrimaryKeyConstraint('id', name=op.f('file_pkey')),
    sa.UniqueConstraint('key', name=op.f('file_key_key'))
    )
    op.create_index('file_conversation', 'file', ['conversation_id'], unique=False)
    op.create_index('file_created', 'file', ['endpoint', 'created_at'], unique=False)
    op.create_index('file_deleted', 'file', ['deleted_at'], unique=False, postgresql_where=sa.text("state = 'deleted'"))
    op.create_index('file_of_event', 'file', ['event_id', 'position'], unique=True, postgresql_where=sa.text("direction = 'in' AND state <> 'deleted'"))
    op.create_table('incident',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('endpoint', sa.Text(), nullable=True),
    sa.Column('conversation_id', sa.BigInteger(), autoincrement=False, nullable=True),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('event_id', sa.BigInteger(), autoincrement=False, nullable=True),
    sa.Column('detail', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), server_default='{}', nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('resolved_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('alert_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('alert_attempts', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('alerted_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('incident_pkey'))
    )
    op.create_index('incident_conversation', 'incident', ['conversation_id'], unique=False)
    op.create_index('incident_dead_air', 'incident', ['event_id'], unique=True, postgresql_where=sa.text("kind = 'dead_air'"))
    op.create_index('incident_drained', 'incident', ['conversation_id'], unique=True, postgresql_where=sa.text("kind = 'drained'"))
    op.create_index('incident_open', 'incident', ['endpoint', 'at'], unique=False, postgresql_where=sa.text('resolved_at IS NULL'))
    op.create_index('incident_to_alert', 'incident', ['alert_at'], unique=False, postgresql_where=sa.text('alerted_at IS NULL'))
    op.create_table('reached',
    sa.Column('what', sa.Text(), nullable=False),
    sa.Column('until', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('what', name=op.f('reached_pkey'))
    )
    op.create_table('rollup_hour',
    sa.Column('hour', sa.DateTime(timezone=True), nullable=False),
    sa.Column('endpoint', sa.Text(), nullable=False),
    sa.Column('channel', sa.Text(), nullable=False),
    sa.Column('conversations', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('sessions', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('contained', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('returning_contacts', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('first_replies', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('first_reply_seconds', sa.Double(), server_default=sa.text('0'), nullable=False),
    sa.Column('messages_user', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('messages_bot', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('messages_agent', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('events', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('turns', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('unanswered', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('replies', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('latency_seconds', sa.Double(), server_default=sa.text('0'), nullable=False),
    sa.Column('understood', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('not_understood', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('dialogs', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('dialogs_failed', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('handovers', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('handovers_active', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('handovers_completed', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('handovers_cancelled', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('handovers_failed', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('handovers_timed_out', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('waiting_seconds', sa.Double(), server_default=sa.text('0'), nullable=False),
    sa.Column('handlings', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('handling_seconds', sa.Double(), server_default=sa.text('0'), nullable=False),
    sa.Column('deliveries', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('deliveries_sent', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('deliveries_withheld', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('deliveries_dead', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('retries', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.PrimaryKeyConstraint('hour', 'endpoint', 'channel', name=op.f('rollup_hour_pkey'))
    )
    op.create_table('rollup_latency',
    sa.Column('hour', sa.DateTime(timezone=True), nullable=False),
    sa.Column('endpoint', sa.Text(), nullable=False),
    sa.Column('bucket', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('replies', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.PrimaryKeyConstraint('hour', 'endpoint', 'bucket', name=op.f('rollup_latency_pkey'))
    )
    op.create_table('rollup_part',
    sa.Column('hour', sa.DateTime(timezone=True), nullable=False),
    sa.Column('endpoint', sa.Text(), nullable=False),
    sa.Column('measure', sa.Text(), nullable=False),
    sa.Column('part', sa.Text(), nullable=False),
    sa.Column('count', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.PrimaryKeyConstraint('hour', 'endpoint', 'measure', 'part', name=op.f('rollup_part_pkey'))
    )
    op.create_table('rollup_progress',
    sa.Column('hour', sa.DateTime(timezone=True), nullable=False),
    sa.Column('computed_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('settled', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.PrimaryKeyConstraint('hour', name=op.f('rollup_progress_pkey'))
    )
    op.create_index('rollup_unsettled', 'rollup_progress', ['hour'], unique=False, postgresql_where=sa.text('NOT settled'))
    op.create_table('uncounted',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('endpoint', sa.Text(), nullable=False),
    sa.Column('since', sa.DateTime(timezone=True), nullable=False),
    sa.Column('until', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('uncounted_pkey'))
    )
    op.create_index('uncounted_now', 'uncounted', ['endpoint'], unique=True, postgresql_where=sa.text('until IS NULL'))
    op.create_table('worker',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('host', sa.Text(), nullable=False),
    sa.Column('pid', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('process_started', sa.Float(), nullable=True),
    sa.Column('started_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('alive_until', sa.DateTime(timezone=True), nullable=False),
    sa.Column('stopped_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('stats', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), server_default='{}', nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('worker_pkey'))
    )
    op.create_table('conversation',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('endpoint', sa.Text(), nullable=False),
    sa.Column('external_id', sa.Text(), nullable=False),
    sa.Column('contact_id', sa.BigInteger(), nullable=True),
    sa.Column('known_by', postgresql.JSONB(astext_type=sa.Text()), server_default='[]', nullable=False),
    sa.Column('channel', sa.Text(), nullable=True),
    sa.Column('state', sa.Text(), server_default='created', nullable=False),
    sa.Column('state_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('assignment', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    sa.Column('control', sa.Text(), server_default='bot', nullable=False),
    sa.Column('handled_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('due_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('owner', sa.BigInteger(), autoincrement=False, nullable=True),
    sa.Column('epoch', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('deaths', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('trial_epoch', sa.BigInteger(), autoincrement=False, nullable=True),
    sa.Column('quarantined_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('sessions', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('is_test', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint("control IN ('bot', 'queue', 'human')", name=op.f('conversation_control_check')),
    sa.CheckConstraint("state IN ('created', 'active', 'idle')", name=op.f('conversation_state_check')),
    sa.ForeignKeyConstraint(['contact_id'], ['contact.id'], name=op.f('conversation_contact_id_fkey'), ondelete='SET NULL'),
    sa.PrimaryKeyConstraint('id', name=op.f('conversation_pkey')),
    sa.UniqueConstraint('endpoint', 'external_id', name=op.f('conversation_endpoint_external_id_key')),
    postgresql_with={'fillfactor': '80', 'autovacuum_vacuum_scale_factor': '0.01'}
    )
    op.create_index('conversation_contact', 'conversation', ['contact_id'], unique=False)
    op.create_index('conversation_created', 'conversation', ['created_at', 'id'], unique=False)
    op.create_index('conversation_due', 'conversation', ['endpoint', 'due_at'], unique=False, postgresql_where=sa.text('due_at IS NOT NULL'))
    op.create_index('conversation_owner', 'conversation', ['owner'], unique=False, postgresql_where=sa.text('owner IS NOT NULL'))
    op.create_table('delivery',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('endpoint', sa.Text(), nullable=False),
    sa.Column('conversation_id', sa.BigInteger(), nullable=False),
    sa.Column('session_id', sa.BigInteger(), autoincrement=False, nullable=True),
    sa.Column('dialog_id', sa.BigInteger(), autoincrement=False, nullable=True),
    sa.Column('event_id', sa.BigInteger(), autoincrement=False, nullable=True),
    sa.Column('position', sa.BigInteger(), autoincrement=False, nullable=True),
    sa.Column('place', sa.BigInteger(), server_default=sa.text("nextval('delivery_order')"), nullable=False),
    sa.Column('kind', sa.Text(), server_default='message', nullable=False),
    sa.Column('content', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), server_default='{}', nullable=False),
    sa.Column('status', sa.Text(), server_default='waiting', nullable=False),
    sa.Column('attempts', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('next_attempt_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('in_doubt_since', sa.DateTime(timezone=True), nullable=True),
    sa.Column('readings', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('sent_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('confirmed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('confirmed_by', sa.Text(), nullable=True),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('reason', sa.Text(), nullable=True),
    sa.CheckConstraint("(ended_at IS NULL) = (status IN ('waiting', 'sending', 'in_doubt'))", name=op.f('delivery_ended_check')),
    sa.CheckConstraint("(status = 'dead') = (reason IS NOT NULL) OR status = 'withheld'", name=op.f('delivery_reason_check')),
    sa.CheckConstraint("kind IN ('message', 'assignment', 'return', 'post_agent', 'note')", name=op.f('delivery_kind_check')),
    sa.CheckConstraint("status <> 'sent' OR sent_at IS NOT NULL", name=op.f('delivery_sent_check')),
    sa.CheckConstraint("status IN ('waiting', 'sending', 'in_doubt', 'sent', 'withheld', 'dead')", name=op.f('delivery_status_check')),
    sa.ForeignKeyConstraint(['conversation_id'], ['conversation.id'], name=op.f('delivery_conversation_id_fkey'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('delivery_pkey')),
    postgresql_with={'fillfactor': '80', 'autovacuum_vacuum_scale_factor': '0.01'}
    )
    op.create_index('delivery_alone', 'delivery', ['endpoint'], unique=False, postgresql_where=sa.text("session_id IS NULL AND ended_at IS NOT NULL AND content->>'erased' IS NULL"))
    op.create_index('delivery_conversation', 'delivery', ['conversation_id', 'place'], unique=False)
    op.create_index('delivery_created', 'delivery', ['created_at'], unique=False, postgresql_using='brin', postgresql_with={'autosummarize': 'on'})
    op.create_index('delivery_dead', 'delivery', ['endpoint', 'ended_at'], unique=False, postgresql_where=sa.text("status = 'dead'"))
    op.create_index('delivery_in_flight', 'delivery', ['conversation_id'], unique=True, postgresql_where=sa.text("status IN ('sending', 'in_doubt')"))
    op.create_index('delivery_open', 'delivery', ['conversation_id', 'place'], unique=False, postgresql_where=sa.text("status IN ('waiting', 'sending', 'in_doubt')"))
    op.create_index('delivery_unconfirmed', 'delivery', ['conversation_id', 'place'], unique=False, postgresql_where=sa.text("status = 'sent' AND confirmed_at IS NULL AND kind = 'message'"))
    op.create_table('event',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('endpoint', sa.Text(), nullable=False),
    sa.Column('event_id', sa.Text(), nullable=False),
    sa.Column('conversation_id', sa.BigInteger(), nullable=True),
    sa.Column('type', sa.Text(), nullable=False),
    sa.Column('body', sa.LargeBinary(), nullable=True),
    sa.Column('body_sha256', sa.LargeBinary(), nullable=False),
    sa.Column('payload', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    sa.Column('sent_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('received_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('retry', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('processed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('outcome', sa.Text(), nullable=True),
    sa.Column('late', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('session_id', sa.BigInteger(), autoincrement=False, nullable=True),
    sa.Column('dialog_id', sa.BigInteger(), autoincrement=False, nullable=True),
    sa.CheckConstraint("outcome IN ('input', 'noted', 'echo', 'ignored', 'held', 'sent', 'refused', 'dropped', 'failed', 'silent', 'drained', 'quarantined', 'erased')", name=op.f('event_outcome_check')),
    sa.CheckConstraint('(processed_at IS NULL) = (outcome IS NULL)', name=op.f('event_processed_check')),
    sa.ForeignKeyConstraint(['conversation_id'], ['conversation.id'], name=op.f('event_conversation_id_fkey'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('event_pkey')),
    sa.UniqueConstraint('endpoint', 'event_id', name=op.f('event_endpoint_event_id_key')),
    postgresql_with={'fillfactor': '80', 'autovacuum_vacuum_scale_factor': '0.01'}
    )
    op.create_index('event_conversation', 'event', ['conversation_id', 'id'], unique=False)
    op.create_index('event_received', 'event', ['endpoint', 'received_at'], unique=False)
    op.create_index('event_received_at', 'event', ['received_at'], unique=False, postgresql_using='brin', postgresql_with={'autosummarize': 'on'})
    op.create_index('event_waiting', 'event', ['conversation_id', 'at', 'id'], unique=False, postgresql_where=sa.text('processed_at IS NULL'))
    op.create_table('handover',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('endpoint', sa.Text(), nullable=False),
    sa.Column('conversation_id', sa.BigInteger(), nullable=False),
    sa.Column('session_id', sa.BigInteger(), autoincrement=False, nullable=True),
    sa.Column('dialog_id', sa.BigInteger(), autoincrement=False, nullable=True),
    sa.Column('position', sa.BigInteger(), autoincrement=False, nullable=True),
    sa.Column('queue', sa.Text(), nullable=True),
    sa.Column('status', sa.Text(), server_default='requested', nullable=False),
    sa.Column('reason', sa.Text(), nullable=True),
    sa.Column('requested_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('queued_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('active_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('events_since', sa.DateTime(timezone=True), nullable=False),
    sa.Column('signals', postgresql.JSONB(astext_type=sa.Text()), server_default='[]', nullable=False),
    sa.Column('transfers', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('inactive_count', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('agents', postgresql.JSONB(astext_type=sa.Text()), server_default='[]', nullable=False),
    sa.Column('message_events', postgresql.JSONB(astext_type=sa.Text()), server_default='[]', nullable=False),
    sa.Column('settings', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), server_default='{}', nullable=False),
    sa.CheckConstraint("(ended_at IS NULL) = (status IN ('requested', 'queued', 'active', 'transferred'))", name=op.f('handover_ended_check')),
    sa.CheckConstraint("status IN ('requested', 'queued', 'active', 'transferred', 'completed', 'cancelled', 'failed', 'timed_out')", name=op.f('handover_status_check')),
    sa.ForeignKeyConstraint(['conversation_id'], ['conversation.id'], name=op.f('handover_conversation_id_fkey'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('handover_pkey'))
    )
    op.create_index('handover_conversation', 'handover', ['conversation_id', 'id'], unique=False)
    op.create_index('handover_open', 'handover', ['conversation_id'], unique=True, postgresql_where=sa.text('ended_at IS NULL'))
    op.create_index('handover_requested', 'handover', ['endpoint', 'requested_at'], unique=False)
    op.create_table('interaction',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('conversation_id', sa.BigInteger(), nullable=False),
    sa.Column('interaction_id', sa.Text(), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('asked_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['conversation_id'], ['conversation.id'], name=op.f('interaction_conversation_id_fkey'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('interaction_pkey')),
    sa.UniqueConstraint('conversation_id', 'interaction_id', name=op.f('interaction_conversation_id_interaction_id_key'))
    )
    op.create_table('mark',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('endpoint', sa.Text(), nullable=False),
    sa.Column('conversation_id', sa.BigInteger(), nullable=False),
    sa.Column('session_id', sa.BigInteger(), autoincrement=False, nullable=True),
    sa.Column('dialog_id', sa.BigInteger(), autoincrement=False, nullable=True),
    sa.Column('event_id', sa.BigInteger(), autoincrement=False, nullable=True),
    sa.Column('position', sa.BigInteger(), autoincrement=False, nullable=True),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('value', sa.Text(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("kind IN ('understood', 'intent', 'goal')", name=op.f('mark_kind_check')),
    sa.ForeignKeyConstraint(['conversation_id'], ['conversation.id'], name=op.f('mark_conversation_id_fkey'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('mark_pkey'))
    )
    op.create_index('mark_at', 'mark', ['at', 'kind', 'value'], unique=False)
    op.create_index('mark_conversation', 'mark', ['conversation_id', 'event_id'], unique=False)
    op.create_table('message',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('conversation_id', sa.BigInteger(), nullable=False),
    sa.Column('session_id', sa.BigInteger(), autoincrement=False, nullable=True),
    sa.Column('dialog_id', sa.BigInteger(), autoincrement=False, nullable=True),
    sa.Column('event_id', sa.BigInteger(), autoincrement=False, nullable=True),
    sa.Column('delivery_id', sa.BigInteger(), autoincrement=False, nullable=True),
    sa.Column('handover_id', sa.BigInteger(), autoincrement=False, nullable=True),
    sa.Column('author', sa.Text(), nullable=False),
    sa.Column('author_id', sa.Text(), nullable=True),
    sa.Column('kind', sa.Text(), server_default='text', nullable=False),
    sa.Column('text', sa.Text(), nullable=True),
    sa.Column('content', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), server_default='{}', nullable=False),
    sa.Column('language', sa.Text(), nullable=True),
    sa.Column('late', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("author IN ('user', 'bot', 'agent', 'system')", name=op.f('message_author_check')),
    sa.ForeignKeyConstraint(['conversation_id'], ['conversation.id'], name=op.f('message_conversation_id_fkey'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('message_pkey'))
    )
    op.create_index('message_at', 'message', ['at'], unique=False, postgresql_using='brin', postgresql_with={'autosummarize': 'on'})
    op.create_index('message_conversation', 'message', ['conversation_id', 'id'], unique=False)
    op.create_index('message_session', 'message', ['session_id'], unique=False)
    op.create_table('session',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('conversation_id', sa.BigInteger(), nullable=False),
    sa.Column('number', sa.BigInteger(), server_default='1', autoincrement=False, nullable=False),
    sa.Column('data', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), server_default='{}', nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('last_input_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('end_reason', sa.Text(), nullable=True),
    sa.Column('runs', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('divergences', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('active_started', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('language', sa.Text(), nullable=True),
    sa.Column('locale', sa.Text(), nullable=True),
    sa.Column('storage', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), server_default='{}', nullable=False),
    sa.Column('private', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('erase', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('erased_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint('(ended_at IS NULL) = (end_reason IS NULL)', name=op.f('session_ended_check')),
    sa.ForeignKeyConstraint(['conversation_id'], ['conversation.id'], name=op.f('session_conversation_id_fkey'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('session_pkey')),
    sa.UniqueConstraint('conversation_id', 'number', name=op.f('session_conversation_id_number_key')),
    postgresql_with={'fillfactor': '80', 'autovacuum_vacuum_scale_factor': '0.01'}
    )
    op.create_index('session_ended', 'session', ['ended_at'], unique=False, postgresql_where=sa.text('ended_at IS NOT NULL'))
    op.create_index('session_open', 'session', ['conversation_id'], unique=True, postgresql_where=sa.text('ended_at IS NULL'))
    op.create_index('session_started', 'session', ['started_at'], unique=False)
    op.create_index('session_to_erase', 'session', ['conversation_id'], unique=False, postgresql_where=sa.text('erase AND ended_at IS NOT NULL AND erased_at IS NULL'))
    op.create_table('timer',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('conversation_id', sa.BigInteger(), nullable=False),
    sa.Column('dialog_id', sa.BigInteger(), autoincrement=False, nullable=True),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('position', sa.BigInteger(), autoincrement=False, nullable=True),
    sa.Column('due_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('outcome', sa.Text(), nullable=True),
    sa.CheckConstraint("outcome IN ('fired', 'cancelled')", name=op.f('timer_outcome_check')),
    sa.CheckConstraint('(ended_at IS NULL) = (outcome IS NULL)', name=op.f('timer_ended_check')),
    sa.ForeignKeyConstraint(['conversation_id'], ['conversation.id'], name=op.f('timer_conversation_id_fkey'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('timer_pkey'))
    )
    op.create_index('timer_open', 'timer', ['conversation_id', 'due_at'], unique=False, postgresql_where=sa.text('ended_at IS NULL'))
    op.create_table('delivery_attempt',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('delivery_id', sa.BigInteger(), nullable=False),
    sa.Column('number', sa.BigInteger(), server_default='1', autoincrement=False, nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('deadline_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('status_code', sa.BigInteger(), autoincrement=False, nullable=True),
    sa.Column('outcome', sa.Text(), nullable=True),
    sa.Column('error', sa.Text(), nullable=True),
    sa.ForeignKeyConstraint(['delivery_id'], ['delivery.id'], name=op.f('delivery_attempt_delivery_id_fkey'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('delivery_attempt_pkey')),
    sa.UniqueConstraint('delivery_id', 'number', name=op.f('delivery_attempt_delivery_id_number_key')),
    postgresql_with={'fillfactor': '80', 'autovacuum_vacuum_scale_factor': '0.01'}
    )
    op.create_table('dialog',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('conversation_id', sa.BigInteger(), nullable=False),
    sa.Column('session_id', sa.BigInteger(), nullable=False),
    sa.Column('bot', sa.Text(), nullable=False),
    sa.Column('seed', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('status', sa.Text(), server_default='running', nullable=False),
    sa.Column('session_data', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), server_default='{}', nullable=False),
    sa.Column('contact_data', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), server_default='{}', nullable=False),
    sa.Column('private', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('error', sa.Text(), nullable=True),
    sa.Column('started_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("(ended_at IS NULL) = (status IN ('running', 'waiting'))", name=op.f('dialog_ended_check')),
    sa.CheckConstraint("status IN ('running', 'waiting', 'completed', 'failed', 'diverged', 'closed')", name=op.f('dialog_status_check')),
    sa.ForeignKeyConstraint(['conversation_id'], ['conversation.id'], name=op.f('dialog_conversation_id_fkey'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['session_id'], ['session.id'], name=op.f('dialog_session_id_fkey'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('dialog_pkey')),
    postgresql_with={'fillfactor': '80', 'autovacuum_vacuum_scale_factor': '0.01'}
    )
    op.create_index('dialog_conversation', 'dialog', ['conversation_id'], unique=False)
    op.create_index('dialog_open', 'dialog', ['conversation_id'], unique=True, postgresql_where=sa.text('ended_at IS NULL'))
    op.create_index('dialog_session', 'dialog', ['session_id'], unique=False)
    op.create_table('handover_transition',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('handover_id', sa.BigInteger(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('cause', sa.Text(), nullable=False),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('agent_id', sa.Text(), nullable=True),
    sa.Column('event_id', sa.BigInteger(), autoincrement=False, nullable=True),
    sa.ForeignKeyConstraint(['handover_id'], ['handover.id'], name=op.f('handover_transition_handover_id_fkey'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('handover_transition_pkey'))
    )
    op.create_index('handover_transition_handover', 'handover_transition', ['handover_id', 'id'], unique=False)
    op.create_table('session_run',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('session_id', sa.BigInteger(), nullable=False),
    sa.Column('conversation_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('worker_id', sa.BigInteger(), autoincrement=False, nullable=True),
    sa.Column('number', sa.BigInteger(), server_default='1', autoincrement=False, nullable=False),
    sa.Column('flow_run_id', sa.Uuid(), nullable=True),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('state', sa.Text(), server_default='Running', nullable=False),
    sa.Column('turns', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('retries', sa.BigInteger(), server_default='0', autoincrement=False, nullable=False),
    sa.Column('opened_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("(ended_at IS NULL) = (state = 'Running') OR state = 'Deleted'", name=op.f('session_run_ended_check')),
    sa.ForeignKeyConstraint(['session_id'], ['session.id'], name=op.f('session_run_session_id_fkey'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('session_run_pkey')),
    sa.UniqueConstraint('flow_run_id', name=op.f('session_run_flow_run_id_key')),
    sa.UniqueConstraint('session_id', 'number', name=op.f('session_run_session_id_number_key'))
    )
    op.create_index('session_run_conversation', 'session_run', ['conversation_id'], unique=False)
    op.create_index('session_run_open', 'session_run', ['worker_id'], unique=False, postgresql_where=sa.text('ended_at IS NULL'))
    op.create_index('session_run_opened', 'session_run', ['opened_at'], unique=False)
    op.create_table('journal',
    sa.Column('dialog_id', sa.BigInteger(), nullable=False),
    sa.Column('position', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=True),
    sa.Column('content', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), server_default='{}', nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('event_id', sa.BigInteger(), autoincrement=False, nullable=True),
    sa.CheckConstraint("kind IN ('input', 'timeout', 'output', 'step', 'result', 'handover', 'signal', 'outcome', 'note')", name=op.f('journal_kind_check')),
    sa.ForeignKeyConstraint(['dialog_id'], ['dialog.id'], name=op.f('journal_dialog_id_fkey'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('dialog_id', 'position', name=op.f('journal_pkey'))
    )


def downgrade() -> None:
    op.drop_table('journal')
    op.drop_index('session_run_opened', table_name='session_run')
    op.drop_index('session_run_open', table_name='session_run', postgresql_where=sa.text('ended_at IS NULL'))
    op.drop_index('session_run_conversation', table_name='session_run')
    op.drop_table('session_run')
    op.drop_index('handover_transition_handover', table_name='handover_transition')
    op.drop_table('handover_transition')
    op.drop_index('dialog_session', table_name='dialog')
    op.drop_index('dialog_open', table_name='dialog', postgresql_where=sa.text('ended_at IS NULL'))
    op.drop_index('dialog_conversation', table_name='dialog')
    op.drop_table('dialog')
    op.drop_table('delivery_attempt')
    op.drop_index('timer_open', table_name='timer', postgresql_where=sa.text('ended_at IS NULL'))
    op.drop_table('timer')
    op.drop_index('session_to_erase', table_name='session', postgresql_where=sa.text('erase AND ended_at IS NOT NULL AND erased_at IS NULL'))
    op.drop_index('session_started', table_name='session')
    op.drop_index('session_open', table_name='session', postgresql_where=sa.text('ended_at IS NULL'))
    op.drop_index('session_ended', table_name='session', postgresql_where=sa.text('ended_at IS NOT NULL'))
    op.drop_table('session')
    op.drop_index('message_session', table_name='message')
    op.drop_index('message_conversation', table_name='message')
    op.drop_index('message_at', table_name='message', postgresql_using='brin', postgresql_with={'autosummarize': 'on'})
    op.drop_table('message')
    op.drop_index('mark_conversation', table_name='mark')
    op.drop_index('mark_at', table_name='mark')
    op.drop_table('mark')
    op.drop_table('interaction')
    op.drop_index('handover_requested', table_name='handover')
    op.drop_index('handover_open', table_name='handover', postgresql_where=sa.text('ended_at IS NULL'))
    op.drop_index('handover_conversation', table_name='handover')
    op.drop_table('handover')
    op.drop_index('event_waiting', table_name='event', postgresql_where=sa.text('processed_at IS NULL'))
    op.drop_index('event_received_at', table_name='event', postgresql_using='brin', postgresql_with={'autosummarize': 'on'})
    op.drop_index('event_received', table_name='event')
    op.drop_index('event_conversation', table_name='event')
    op.drop_table('event')
    op.drop_index('delivery_unconfirmed', table_name='delivery', postgresql_where=sa.text("status = 'sent' AND confirmed_at IS NULL AND kind = 'message'"))
    op.drop_index('delivery_open', table_name='delivery', postgresql_where=sa.text("status IN ('waiting', 'sending', 'in_doubt')"))
    op.drop_index('delivery_in_flight', table_name='delivery', postgresql_where=sa.text("status IN ('sending', 'in_doubt')"))
    op.drop_index('delivery_dead', table_name='delivery', postgresql_where=sa.text("status = 'dead'"))
    op.drop_index('delivery_created', table_name='delivery', postgresql_using='brin', postgresql_with={'autosummarize': 'on'})
    op.drop_index('delivery_conversation', table_name='delivery')
    op.drop_index('delivery_alone', table_name='delivery', postgresql_where=sa.text("session_id IS NULL AND ended_at IS NOT NULL AND content->>'erased' IS NULL"))
    op.drop_table('delivery')
    op.drop_index('conversation_owner', table_name='conversation', postgresql_where=sa.text('owner IS NOT NULL'))
    op.drop_index('conversation_due', table_name='conversation', postgresql_where=sa.text('due_at IS NOT NULL'))
    op.drop_index('conversation_created', table_name='conversation')
    op.drop_index('conversation_contact', table_name='conversation')
    op.drop_table('conversation')
    op.drop_table('worker')
    op.drop_index('uncounted_now', table_name='uncounted', postgresql_where=sa.text('until IS NULL'))
    op.drop_table('uncounted')
    op.drop_index('rollup_unsettled', table_name='rollup_progress', postgresql_where=sa.text('NOT settled'))
    op.drop_table('rollup_progress')
    op.drop_table('rollup_part')
    op.drop_table('rollup_latency')
    op.drop_table('rollup_hour')
    op.drop_table('reached')
    op.drop_index('incident_to_alert', table_name='incident', postgresql_where=sa.text('alerted_at IS NULL'))
    op.drop_index('incident_open', table_name='incident', postgresql_where=sa.text('resolved_at IS NULL'))
    op.drop_index('incident_drained', table_name='incident', postgresql_where=sa.text("kind = 'drained'"))
    op.drop_index('incident_dead_air', table_name='incident', postgresql_where=sa.text("kind = 'dead_air'"))
    op.drop_index('incident_conversation', table_name='incident')
    op.drop_table('incident')
    op.drop_index('file_of_event', table_name='file', postgresql_where=sa.text("direction = 'in' AND state <> 'deleted'"))
    op.drop_index('file_deleted', table_name='file', postgresql_where=sa.text("state = 'deleted'"))
    op.drop_index('file_created', table_name='file')
    op.drop_index('file_conversation', table_name='file')
    op.drop_table('file')
    op.drop_table('endpoint_state')
    op.drop_index('contact_profile', table_name='contact', postgresql_using='gin', postgresql_ops={'profile': 'jsonb_path_ops'})
    op.drop_index('contact_first_seen', table_name='contact')
    op.drop_table('contact')
    op.drop_table('cleared')
    op.drop_index('api_token_hash', table_name='api_token', postgresql_where=sa.text('revoked_at IS NULL'))
    op.drop_table('api_token')
    op.execute('DROP SEQUENCE delivery_order')
